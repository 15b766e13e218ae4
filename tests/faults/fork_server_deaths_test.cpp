// SPDX-License-Identifier: MIT
// The deaths of a forkflow::fork_server, of the fork servers that it makes, and of their application.
#include "support/body_line.hpp"
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/limits.hpp"

#include <forkflow/fork_server.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fork_server_deaths_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::fork_server;
using forkflow::pool_options;
using forkflow_test::adopts_orphans;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::kill_process_named;
using forkflow_test::launcher;
using forkflow_test::number;
using forkflow_test::pool_server;
using forkflow_test::process_named;
using line = forkflow_test::body_line;

namespace {

number itself_slowly(number message) {
    std::this_thread::sleep_for(100us);
    return message;
}

} // namespace

TEST_CASE("kill -9 of a pool's fork server costs attempts and no message") {
    const bounded_test bounds;
    fork_server early;
    for (number round = 0; round < 12; ++round) {
        CAPTURE(round);
        const std::size_t workers = round % 3 == 0 ? 8 : 2;
        line going_on(
            pool_options{.workers = workers, .recycle_after = round % 2 == 0 ? 0U : 5U, .server = &early},
            itself_slowly);
        going_on.put(0, 300);
        if (round > 3) { // else while the first workers begin
            going_on.wait_for(20 * round);
        }
        REQUIRE(kill_process_named(pool_server));
        going_on.finish();
        CHECK(going_on.fault(300, itself) == "");
        const forkflow::statistics after = going_on.statistics();
        CHECK(after.results == 300);
        CHECK(after.retries <= workers + 1);
        CHECK(after.deaths >= (after.retries > 0 ? 1 : 0));
    }
    CHECK(process_named(pool_server) == 0);
}

TEST_CASE("With one attempt, kill -9 of a pool's fork server fails what ran, and says why") {
    const bounded_test bounds;
    fork_server early;
    line going_on(pool_options{.workers = 2, .attempts = 1, .server = &early}, [](number message) {
        if (message == 50) {
            ::pause();
        }
        return message;
    });
    going_on.put(0, 300);
    going_on.wait_for(50);
    REQUIRE(kill_process_named(pool_server));
    going_on.finish();
    std::size_t failed = 0;
    CHECK(going_on.fault(300, itself, [&](number, const failure& found) {
        ++failed;
        return found.kind == failure_kind::crashed && found.signal == SIGKILL &&
               found.what.find("fork server died") != std::string::npos;
    }) == "");
    CHECK(failed >= 1);
    CHECK(failed <= 2);
    CHECK(going_on.statistics().deaths == 2);
    CHECK(going_on.statistics().retries == 0);
}

TEST_CASE("A pool whose fork server is killed again and again by its own workers fails") {
    const bounded_test bounds;
    fork_server early;
    line hopeless(pool_options{.workers = 3,
                               .worker_init =
                                   +[] {
                                       ::kill(::getppid(), SIGKILL);
                                       ::pause();
                                   },
                               .server = &early},
                  itself);
    hopeless.put(0, 30);
    hopeless.finish();
    CHECK(hopeless.fault(30, itself, [](number, const failure& found) {
        return found.kind == failure_kind::pool_failed && !found.what.empty();
    }) == "");
    CHECK(hopeless.outcomes()[0].index() == 1);
}

TEST_CASE("kill -9 of the fork_server itself: pools go on, new ones are refused, nothing hangs") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    line old(options, itself);
    old.put(0, 50);
    old.finish();
    const ::pid_t server_of_old = process_named(pool_server); // it will be nobody's child
    REQUIRE(kill_process_named(launcher));
    old.put(50, 100);
    old.finish();
    CHECK(old.fault(100, itself) == "");
    for (int again = 0; again < 3; ++again) {
        CHECK_THROWS_AS(line(options, itself), std::system_error);
    }
    REQUIRE(server_of_old > 0);
    ::kill(server_of_old, SIGKILL); // nobody is there to make another one
    old.put(100, 150);
    old.finish();
    CHECK(old.fault(150, itself, [](number message, const failure& found) {
        return message >= 100 && found.kind == failure_kind::pool_failed;
    }) == "");
    fork_server second;
    CHECK(line({.workers = 1, .server = &second}, itself).fault_of(10, itself) == "");
}

TEST_CASE(
    "While the fork_server is stopped no node is made, and none of what was asked for is left afterwards") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    ::pid_t stopped = 0;
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return (stopped = process_named(launcher)) > 0; }));
    REQUIRE(::kill(stopped, SIGSTOP) == 0);
    try {
        const line refused(options, itself);
        FAIL("a node was made");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::timed_out);
        CHECK(std::string(error.what()).find("fork_server does not answer") != std::string::npos);
    }
    REQUIRE(::kill(stopped, SIGCONT) == 0);
    // The answer to the first order comes before that to the second, and is not taken for it.
    auto* const nowhere = reinterpret_cast<number (*)(number)>(std::uintptr_t{16});
    CHECK_THROWS_AS(line(options, nowhere), std::invalid_argument);
    CHECK(line(options, itself).fault_of(50, itself) == "");
    CHECK(forkflow_test::comes_true_within(10s, [] { return process_named(pool_server) == 0; }));
}

TEST_CASE("A pool whose fork server dies while the fork_server is stopped fails, and does not hang") {
    const bounded_test bounds;
    fork_server early;
    line going_on(pool_options{.workers = 2, .server = &early}, itself);
    going_on.put(0, 50);
    going_on.finish();
    const ::pid_t stopped = process_named(launcher);
    REQUIRE(stopped > 0);
    REQUIRE(::kill(stopped, SIGSTOP) == 0);
    REQUIRE(kill_process_named(pool_server));
    const number put = going_on.put_until_one_fails(50);
    CHECK(going_on.fault(put, itself, [](number message, const failure& found) {
        return message >= 50 && found.kind == failure_kind::pool_failed;
    }) == "");
    ::kill(stopped, SIGCONT);
}

namespace {

/// Notes how children of this process end while it lives, as far as they are `watched`.
class noted_end {
public:
    explicit noted_end(::pid_t watched) {
        watched_ = watched;
        how_ = 0;
        struct sigaction action {};
        action.sa_sigaction = [](int, siginfo_t* child, void*) {
            if (child->si_pid == watched_) {
                how_ = child->si_code;
            }
        };
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        ::sigaction(SIGCHLD, &action, &before_);
    }
    ~noted_end() { ::sigaction(SIGCHLD, &before_, nullptr); }
    noted_end(const noted_end&) = delete;
    noted_end& operator=(const noted_end&) = delete;

    /// CLD_EXITED, CLD_KILLED, …; 0: it has not ended.
    [[nodiscard]] static int how() { return how_; }

private:
    static inline volatile std::sig_atomic_t watched_ = 0; // a handler gets no context
    static inline volatile std::sig_atomic_t how_ = 0;
    struct sigaction before_ {};
};

} // namespace

TEST_CASE(
    "A fork_server, and a pool's, leaves by itself at the end, though a child of the program lives on") {
    const bounded_test bounds;
    const bool is_pools = GENERATE(false, true);
    std::unique_ptr<fork_server> early;
    std::unique_ptr<line> pool;
    if (is_pools) {
        pool = std::make_unique<line>(pool_options{.workers = 2}, itself);
    } else {
        early = std::make_unique<fork_server>();
    }
    ::pid_t leaving = 0;
    REQUIRE(forkflow_test::comes_true_within(
        10s, [&] { return (leaving = process_named(is_pools ? pool_server : launcher)) > 0; }));
    const rlim_t most_descriptors = GENERATE(1000U, 0U); // with none, poll refuses to look
    forkflow_test::limit_of(leaving, RLIMIT_NOFILE, most_descriptors);
    const ::pid_t child = ::fork(); // it holds all descriptors of the program, those of the fork_server too
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::pause();
        ::_exit(0);
    }
    REQUIRE(child > 0);
    {
        const noted_end end(leaving);
        early.reset();
        pool.reset();
        CHECK(noted_end::how() == CLD_EXITED);
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}

TEST_CASE("child: nodes of two fork_servers are at work for ever", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    fork_server first;
    fork_server second;
    forkflow_test::start_tbb_threads();
    line one({.workers = 2, .server = &first}, itself_slowly);
    line other({.workers = 2, .recycle_after = 3, .server = &second}, itself_slowly);
    one.put(0, 10);
    other.put(0, 10);
    one.finish();
    forkflow_test::announce_readiness();
    for (;;) {
        one.put(0, 100);
        other.put(0, 100);
        one.finish();
        other.finish();
    }
}

TEST_CASE("kill -9 of an application with fork_servers leaves no process") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 5; ++round) {
        forkflow_test::child_test child("child: nodes of two fork_servers are at work for ever");
        REQUIRE(child.becomes_ready());
        ::kill(child.pid(), SIGKILL);
        child.wait();
        CHECK(forkflow_test::all_children_end_within(5s));
    }
}

namespace {

volatile std::sig_atomic_t interrupts = 0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

} // namespace

TEST_CASE("child: Ctrl-C beside a fork_server", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    ::signal(SIGINT, [](int) { interrupts = interrupts + 1; }); // NOLINT(cert-err33-c)
    fork_server early;
    REQUIRE(::kill(0, SIGINT) == 0);
    line interrupted({.workers = 2, .server = &early}, itself_slowly);
    interrupted.put(0, 100);
    REQUIRE(::kill(0, SIGINT) == 0);
    interrupted.finish();
    CHECK(interrupted.fault(100, itself) == "");
    CHECK(line({.workers = 1, .server = &early}, itself).fault_of(10, itself) == "");
    CHECK(interrupts == 2);
    CHECK(interrupted.statistics().deaths == 0);
}

TEST_CASE("Ctrl-C reaches the application alone, and no fork_server") {
    const bounded_test bounds;
    forkflow_test::child_test child("child: Ctrl-C beside a fork_server");
    CHECK(child.wait_at_most(60s) == 0);
}

} // namespace fork_server_deaths_test
