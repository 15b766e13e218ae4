// SPDX-License-Identifier: MIT
// Signals to the application, to its process group and to the processes of a node: job control, hang-ups,
// children's deaths.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/nodes/process_host.hpp>
#include <forkflow/nodes/steps.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace signals_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow::nodes::step;
using forkflow_test::adopts_orphans;
using forkflow_test::bounded_test;
using forkflow_test::child_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::shared_flags;

namespace {

/// Counts signals, and reaps all children at each SIGCHLD; a handler gets no context.
volatile std::sig_atomic_t signals_seen = 0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void count_signal(int /*signal*/) {
    signals_seen = signals_seen + 1;
}

void reap_all(int /*signal*/) {
    const int error = errno;
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        signals_seen = signals_seen + 1;
    }
    errno = error;
}

/// A handler of one signal while it lives. System calls that it interrupts fail with EINTR.
class handled_signal {
public:
    handled_signal(int signal, void (*handler)(int))
        : signal_(signal) {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigaction(signal, &action, &before_);
    }
    ~handled_signal() { ::sigaction(signal_, &before_, nullptr); }
    handled_signal(const handled_signal&) = delete;
    handled_signal& operator=(const handled_signal&) = delete;

private:
    int signal_;
    struct sigaction before_ {};
};

::pid_t only_fork_server_of(::pid_t parent) {
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(parent);
    REQUIRE(servers.size() == 1);
    return servers[0];
}

char state_of(::pid_t pid) {
    for (const forkflow_test::process& one : forkflow_test::all_processes()) {
        if (one.pid == pid) {
            return one.state;
        }
    }
    return '-';
}

} // namespace

// ---------------------------------------------------------------------------------------------------------
// Job control

TEST_CASE("child: at work until SIGUSR1", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    const handled_signal stopping(SIGUSR1, count_signal);
    number_line line(pool_options{.workers = 3, .window = 8, .deadline = 20s}, itself);
    line.put(0, 100);
    line.wait_for(100);
    forkflow_test::announce_readiness();
    number next = 100;
    while (signals_seen == 0) {
        line.put(next, next + 10);
        next += 10;
        line.wait_for(next);
    }
    line.finish();
    CHECK(line.fault(next) == "");
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("A process group that is stopped and continued goes on where it was") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    child_test child("child: at work until SIGUSR1");
    REQUIRE(child.becomes_ready());
    for (int round = 0; round < 20; ++round) {
        REQUIRE(::kill(-child.pid(), SIGTSTP) == 0);
        int status = 0;
        REQUIRE(::waitpid(child.pid(), &status, WUNTRACED) == child.pid());
        REQUIRE(WIFSTOPPED(status));
        REQUIRE(::kill(-child.pid(), SIGCONT) == 0);
    }
    ::kill(child.pid(), SIGUSR1);
    CHECK(child.wait_at_most(30s) == 0);
    CHECK(forkflow_test::all_children_end_within(2s));
}

TEST_CASE("All processes of a node may be stopped and continued, in any order") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    child_test child("child: at work until SIGUSR1");
    REQUIRE(child.becomes_ready());
    REQUIRE(forkflow_test::comes_true_within(
        10s, [&] { return forkflow_test::workers_of(child.pid()).size() == 3; }));
    std::vector<::pid_t> family{child.pid()};
    for (const forkflow_test::process& one : forkflow_test::descendants_of(child.pid())) {
        family.push_back(one.pid);
    }
    REQUIRE(family.size() == 5); // with the fork server
    for (std::size_t round = 0; round < 20; ++round) {
        for (std::size_t i = 0; i < family.size(); ++i) {
            ::kill(family[(i + round) % family.size()], SIGSTOP);
        }
        REQUIRE(forkflow_test::comes_true_within(10s, [&] {
            return std::all_of(family.begin(), family.end(),
                               [](::pid_t pid) { return state_of(pid) == 'T'; });
        }));
        for (std::size_t i = family.size(); i-- > 0;) {
            ::kill(family[(i + 2 * round) % family.size()], SIGCONT);
        }
    }
    ::kill(child.pid(), SIGUSR1);
    CHECK(child.wait_at_most(30s) == 0);
    CHECK(forkflow_test::all_children_end_within(2s));
}

TEST_CASE("A deadline ends a hung body although somebody has stopped the fork server") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: the body hangs; 1: never set
    number_line line(pool_options{.workers = 2, .deadline = 300ms, .attempts = 1}, [&](number message) {
        if (message == 5) {
            flags.add(0);
            flags.wait_for(1);
        }
        return message;
    });
    line.put(0, 10);
    flags.wait_for(0);
    ::kill(only_fork_server_of(::getpid()), SIGSTOP);
    line.finish();
    CHECK(line.fault(10, [](number message, const failure& found) {
        return message == 5 && found.kind == failure_kind::timed_out;
    }) == "");
    CHECK(line.outcomes()[5].index() == 1);
}

TEST_CASE("A worker's death comes out without a deadline although somebody has stopped the fork server") {
    const bounded_test bounds;
    const shared_flags flags(1); // 0: the fork server is stopped
    number_line line(pool_options{.workers = 2, .attempts = 1}, [&](number message) {
        if (message == 3) {
            ::kill(::getppid(), SIGSTOP);
            flags.set(0);
        }
        if (message == 5) {
            flags.wait_for(0);
            ::raise(SIGKILL);
        }
        return message;
    });
    line.put(0, 10);
    line.finish();
    CHECK(line.fault(10, [](number message, const failure& found) {
        return message == 5 && found.kind == failure_kind::crashed && found.signal == SIGKILL;
    }) == "");
    CHECK(line.outcomes()[5].index() == 1);
}

TEST_CASE("A node whose fork server or workers somebody has stopped can be destroyed") {
    const bounded_test bounds;
    for (const bool server : {true, false}) {
        for (const bool busy : {true, false}) {
            CAPTURE(server, busy);
            const shared_flags flags(2); // 0: how many bodies run; 1: never set
            auto line = std::make_unique<number_line>(pool_options{.workers = 2}, [&](number message) {
                flags.add(0);
                flags.wait_for(1);
                return message;
            });
            if (busy) {
                line->put(0, 10);
                flags.wait_for(0, 2);
            }
            REQUIRE(forkflow_test::comes_true_within(
                10s, [] { return forkflow_test::workers_of(::getpid()).size() == 2; }));
            const ::pid_t stopped =
                server ? only_fork_server_of(::getpid()) : forkflow_test::workers_of(::getpid()).at(0);
            ::kill(stopped, SIGSTOP);
            REQUIRE(forkflow_test::comes_true_within(10s, [&] { return state_of(stopped) == 'T'; }));
            line.reset(); // ends; how long it takes is the watchdog's business
        }
    }
}

TEST_CASE("A node whose fork server somebody stops again and again can be destroyed") {
    const bounded_test bounds;
    auto line = std::make_unique<number_line>(pool_options{.workers = 2}, itself);
    line->put(0, 10);
    line->finish();
    // By pidfd, as the number may be another process's in the end.
    const auto server = static_cast<int>(::syscall(SYS_pidfd_open, only_fork_server_of(::getpid()), 0U));
    REQUIRE(server >= 0);
    std::atomic<bool> over{false};
    std::thread stopping([&] {
        while (!over.load()) {
            ::syscall(SYS_pidfd_send_signal, server, SIGSTOP, nullptr, 0U);
        }
    });
    line.reset(); // ends; how long it takes is the watchdog's business
    over.store(true);
    stopping.join();
    ::close(server);
}

TEST_CASE(
    "A fork server that does not react is killed, though its end was awaited before it was told to go") {
    const bounded_test bounds;
    pool_options options{.workers = 1};
    options.testing.hook = [](step here, std::uint32_t /*seat*/) {
        while (here == step::server_started) {
            ::pause();
        }
    };
    const auto main = [](std::uint32_t /*seat*/, std::uint32_t /*incarnation*/) { return 0; };
    forkflow::nodes::process_host host(main, options);
    std::atomic<::pid_t> waiter{0};
    std::thread waiting([&] {
        waiter = static_cast<::pid_t>(::syscall(SYS_gettid));
        while (host.next_event(-1).what != forkflow::nodes::host_event::kind::closed) {
        }
    });
    CHECK(forkflow_test::comes_true_within(10s,
                                           [&] { return waiter != 0 && forkflow_test::is_asleep(waiter); }));
    host.close();
    waiting.join(); // ends; how long it takes is the watchdog's business
}

// ---------------------------------------------------------------------------------------------------------
// Real-time signals, for which the C library has no words

TEST_CASE("A body that dies of a real-time signal is a failure in its place that names the signal") {
    const bounded_test bounds;
    for (const int signal : {SIGRTMIN, SIGRTMAX}) {
        number_line line(pool_options{.workers = 2, .attempts = 1}, [=](number message) {
            if (message == 5) {
                ::raise(signal);
            }
            return message;
        });
        line.put(0, 10);
        line.finish();
        CHECK(line.fault(10, [&](number message, const failure& found) {
            return message == 5 && found.kind == failure_kind::crashed && found.signal == signal &&
                   found.what ==
                       "the worker was killed by signal " + std::to_string(signal) + " (real-time signal)";
        }) == "");
        CHECK(line.outcomes()[5].index() == 1);
    }
}

TEST_CASE("A worker that waits for a message and dies of a real-time signal costs nothing") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 1, .attempts = 1}, itself);
    line.put(0, 10);
    line.finish();
    const std::vector<::pid_t> workers = forkflow_test::workers_of(::getpid());
    REQUIRE(workers.size() == 1);
    REQUIRE(::kill(workers[0], SIGRTMIN + 3) == 0);
    CHECK(forkflow_test::comes_true_within(10s, [&] { return line.statistics().deaths == 1; }));
    line.put(10, 20);
    line.finish();
    CHECK(line.fault(20) == "");
}

TEST_CASE("A worker_init that dies of a real-time signal fails the pool, which says so") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 1, .worker_init = [] { ::raise(SIGRTMIN); }}, itself);
    line.put(0, 1);
    line.finish();
    CHECK(line.fault(1, [](number, const failure& found) {
        return found.kind == failure_kind::pool_failed &&
               found.what.find("(real-time signal) in worker_init") != std::string::npos;
    }) == "");
    CHECK(line.outcomes()[0].index() == 1);
}

// ---------------------------------------------------------------------------------------------------------
// Signals to the group

// In a process group of its own, so that the signals reach nobody else.
TEST_CASE("child: signals to the group", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    constexpr int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGVTALRM};
    std::vector<std::unique_ptr<handled_signal>> handlers;
    for (const int signal : signals) {
        handlers.push_back(std::make_unique<handled_signal>(signal, count_signal));
    }
    const shared_flags flags(2); // 0: how many bodies run; 1: released
    number_line line(pool_options{.workers = 2}, [&](number message) {
        flags.add(0);
        flags.wait_for(1);
        return message;
    });
    line.put(0, 10);
    flags.wait_for(0, 2);
    for (const int signal : signals) {
        REQUIRE(::kill(0, signal) == 0); // as a terminal or a supervisor of services does
    }
    flags.set(1);
    line.put(10, 20);
    line.finish();
    CHECK(signals_seen == static_cast<int>(std::size(signals)));
    CHECK(line.fault(20) == "");
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("Signals to the process group are the application's alone") {
    const bounded_test bounds;
    child_test child("child: signals to the group");
    CHECK(child.wait_at_most(60s) == 0);
}

TEST_CASE("child: signals to the group while nodes are made", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    const handled_signal terminate(SIGTERM, count_signal);
    const handled_signal hang_up(SIGHUP, count_signal);
    std::atomic<bool> done{false};
    std::thread sender([&] {
        while (!done) {
            ::kill(0, SIGTERM);
            ::kill(0, SIGHUP);
        }
    });
    std::string fault;
    for (int round = 0; round < 60 && fault.empty(); ++round) {
        number_line line(pool_options{.workers = 2}, itself);
        line.put(0, 10);
        line.finish();
        fault = line.fault(10);
    }
    done = true;
    sender.join();
    CHECK(fault == "");
}

TEST_CASE("Signals to the process group do not reach a fork server that is being made") {
    const bounded_test bounds;
    child_test child("child: signals to the group while nodes are made");
    CHECK(child.wait_at_most(60s) == 0);
}

// ---------------------------------------------------------------------------------------------------------
// Children of the application

TEST_CASE("All works in an application whose handler of SIGCHLD reaps all children") {
    const bounded_test bounds;
    signals_seen = 0;
    {
        const handled_signal reaper(SIGCHLD, reap_all);
        std::atomic<bool> done{false};
        std::thread other_children([&] { // so that the handler interrupts at any moment
            while (!done) {
                if (::fork() == 0) {
                    ::_exit(0);
                }
                std::this_thread::yield();
            }
        });
        for (int round = 0; round < 10; ++round) {
            number_line line(pool_options{.workers = 2, .attempts = 1}, [](number message) {
                if (message % 50 == 49) {
                    ::raise(SIGKILL);
                }
                return message;
            });
            line.put(0, 200);
            line.finish();
            CHECK(line.fault(200, [](number message, const failure& found) {
                return message % 50 == 49 && found.signal == SIGKILL;
            }) == "");
            CHECK(line.statistics().deaths == 4);
        }
        done = true;
        other_children.join();
        while (::waitpid(-1, nullptr, 0) > 0 ||
               errno == EINTR) { // the last ones, if the handler was not faster
        }
    }
    CHECK(signals_seen > 0);
    CHECK(forkflow_test::all_children_end_within(5s)); // the last may have ended after the handler
}

} // namespace signals_test
