// SPDX-License-Identifier: MIT
// A machine that gives no more processes, descriptors or memory: the constructor throws what names the call,
// or the node does its work, or its messages fail; and nothing is left behind.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/limits.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace machine_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::soft_limit;

namespace {

/// What one attempt to have a node came to.
struct attempt {
    std::string error{}; ///< what the constructor threw
    std::string fault{}; ///< what is wrong with the outcomes
    std::size_t failed = 0;
};

/// Makes a node under the limit, lets it do some work, and ends it. One message in ten kills its worker.
attempt attempt_with(const soft_limit& limited, rlim_t limit) {
    attempt seen;
    limited.set(limit);
    try {
        constexpr number count = 40;
        number_line line(pool_options{.workers = 2, .attempts = 1}, [](number message) {
            if (message % 10 == 5) {
                ::raise(SIGKILL);
            }
            return message;
        });
        line.put(0, count);
        line.finish();
        limited.lift();
        seen.fault = line.fault(count, [](number message, const failure& found) {
            return found.kind == failure_kind::crashed
                       ? message % 10 == 5
                       : found.kind == failure_kind::pool_failed &&
                             found.what.find("fork: Resource temporarily") != std::string::npos;
        });
        for (const auto& one : line.outcomes()) {
            seen.failed += one.index();
        }
    } catch (const std::system_error& error) {
        limited.lift();
        seen.error = error.what();
    } catch (const std::bad_alloc& error) {
        limited.lift();
        seen.error = error.what();
    }
    return seen;
}

std::size_t entries_of(const char* directory) {
    const std::filesystem::directory_iterator all(directory);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void limit_processes_of_fork_server(rlim_t limit) {
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    forkflow_test::limit_of(servers[0], RLIMIT_NPROC, limit);
}

void kill_workers(std::size_t count) {
    const std::vector<::pid_t> workers = forkflow_test::workers_of(::getpid());
    REQUIRE(workers.size() == 2);
    for (std::size_t i = 0; i < count; ++i) {
        ::kill(workers[i], SIGKILL);
    }
}

} // namespace

TEST_CASE("child: a limit on processes when nodes are made", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    const tbb::global_control two(tbb::global_control::max_allowed_parallelism, 2);
    forkflow_test::become_somebody();
    forkflow_test::start_tbb_threads();
    const auto before = forkflow_test::belongings();
    const soft_limit processes(RLIMIT_NPROC);
    const std::size_t threads = entries_of("/proc/self/task");
    std::vector<attempt> seen;
    for (rlim_t more = 0; more < 8; ++more) {
        seen.push_back(attempt_with(processes, threads + more));
        CAPTURE(more, seen.back().error);
        CHECK(seen.back().fault == "");
        CHECK(forkflow_test::left_behind_since(before) == "");
        REQUIRE(forkflow_test::comes_true_within(
            10s, [&] { return entries_of("/proc/self/task") == threads; })); // what has ended counts no more
    }
    // One process and two threads are needed to make a node, and one worker for the work to be done. A worker
    // may come before the second thread.
    CHECK(seen[0].error.find("fork") == 0);
    for (const std::size_t more : {1U, 2U, 3U, 4U}) {
        CAPTURE(more, seen[more].error);
        const bool no_thread = seen[more].error.find("Resource temporarily unavailable") == 0;
        CHECK((no_thread || (more > 2 && seen[more].error.empty())));
        CHECK(seen[more].failed == (no_thread ? 0U : more == 3 ? 40U : 4U));
    }
    for (const std::size_t more : {5U, 6U, 7U}) {
        CAPTURE(more);
        CHECK(seen[more].error == "");
        CHECK(seen[more].failed == 4); // those that kill their workers
    }
}

TEST_CASE("When no process can be made, a node is refused, or its messages fail, or fewer workers do") {
    const bounded_test bounds;
    if (forkflow_test::is_superuser()) {
        forkflow_test::child_test child("child: a limit on processes when nodes are made");
        CHECK(child.wait_at_most(60s) == 0);
    }
}

TEST_CASE("child: a limit on processes when workers are replaced", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    forkflow_test::become_somebody();
    const forkflow_test::shared_flags flags(1);
    number_line line(pool_options{.workers = 2, .attempts = 5}, [&](number message) {
        if (message < 2) { // so that both workers are known to be there
            flags.add(0);
            flags.wait_for(0, 2);
        }
        return message;
    });
    line.put(0, 20);
    line.finish();
    limit_processes_of_fork_server(1);
    kill_workers(1);
    line.put(20, 500); // for the other worker
    line.finish();
    CHECK(line.fault(500) == "");

    limit_processes_of_fork_server(RLIM_INFINITY);
    REQUIRE(forkflow_test::comes_true_within(
        10s, [] { return forkflow_test::workers_of(::getpid()).size() == 2; })); // the seat is filled again
    line.put(500, 1000);
    line.finish();
    CHECK(line.fault(1000) == "");

    limit_processes_of_fork_server(1);
    kill_workers(2);
    line.put(1000, 1030);
    line.finish();
    CHECK(line.fault(1030, [](number message, const failure& found) {
        return message >= 1000 && found.kind == failure_kind::pool_failed &&
               found.what.find("fork: Resource temporarily unavailable") != std::string::npos;
    }) == "");
    CHECK(line.outcomes().back().index() == 1);
}

TEST_CASE("Workers that cannot be replaced are missed until they can, and when all are gone messages fail") {
    const bounded_test bounds;
    if (forkflow_test::is_superuser()) {
        forkflow_test::child_test child("child: a limit on processes when workers are replaced");
        CHECK(child.wait_at_most(60s) == 0);
    }
}

namespace {

/// Opens descriptors until all numbers below the highest in use are in use. Closes them at the end.
class no_descriptor_to_spare {
public:
    no_descriptor_to_spare() {
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            end_ = std::max(end_, std::stoi(entry.path().filename()) + 1);
        }
        for (int number = 0; (number = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) < end_;) {
            opened_.push_back(number);
        }
        ::close(end_);
    }
    ~no_descriptor_to_spare() {
        for (const int number : opened_) {
            ::close(number);
        }
    }
    no_descriptor_to_spare(const no_descriptor_to_spare&) = delete;
    no_descriptor_to_spare& operator=(const no_descriptor_to_spare&) = delete;

    /// The limit under which none can be opened.
    [[nodiscard]] rlim_t limit() const { return static_cast<rlim_t>(end_); }

private:
    int end_ = 0;
    std::vector<int> opened_;
};

} // namespace

TEST_CASE("Without descriptors no node is made and nothing is left; with just enough, it lacks nothing") {
    const bounded_test bounds;
    const no_descriptor_to_spare all;
    const soft_limit descriptors(RLIMIT_NOFILE);
    const auto before = forkflow_test::belongings();
    std::vector<std::string> calls;
    attempt seen{.error = "none yet"};
    for (rlim_t more = 0; more < 20 && !seen.error.empty(); ++more) {
        seen = attempt_with(descriptors, all.limit() + more);
        CAPTURE(more);
        CHECK(forkflow_test::left_behind_since(before) == "");
        CHECK(seen.fault == "");
        if (!seen.error.empty()) {
            CHECK(seen.error.find("Too many open files") != std::string::npos);
            calls.push_back(seen.error.substr(0, seen.error.find(':')));
        }
    }
    calls.erase(std::unique(calls.begin(), calls.end()), calls.end());
    CHECK(calls == std::vector<std::string>{"memfd_create", "socketpair", "pipe2", "eventfd", "pidfd_open"});
    CHECK(seen.failed == 4); // the descriptors were just enough: also to replace workers
}

TEST_CASE("A node does not miss descriptors that are used up after it was made") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .deadline = 10s, .attempts = 1, .recycle_after = 3},
                     [](number message) {
                         if (message % 10 == 5) {
                             ::raise(SIGSEGV);
                         }
                         return message;
                     });
    const no_descriptor_to_spare all;
    const soft_limit descriptors(RLIMIT_NOFILE);
    descriptors.set(all.limit());
    const int none = ::fcntl(STDERR_FILENO, F_DUPFD, 0); // NOLINT: the test is that there is none
    line.put(0, 200);
    line.finish();
    std::size_t described = 0;
    for (const auto& one : line.outcomes()) {
        if (const auto* const found = std::get_if<failure>(&one)) {
            described += forkflow::describe(*found).empty() ? 0U : 1U;
            described += found->stack_trace.to_string().empty() ? 0U : 1U;
        }
    }
    descriptors.lift();
    CHECK(none == -1);
    CHECK(described == 2 * 20);
    CHECK(line.fault(200, [](number message, const failure& found) {
        return message % 10 == 5 && found.signal == SIGSEGV;
    }) == "");
}

// ---------------------------------------------------------------------------------------------------------
// Memory

namespace {

/// Address space in use.
rlim_t address_space_bytes() {
    std::ifstream file("/proc/self/statm");
    rlim_t pages = 0;
    file >> pages;
    return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

TEST_CASE("Without address space no node is made, and nothing is left") {
    if (forkflow_test::sanitized) {
        return; // sanitizers need terabytes of it
    }
    const bounded_test bounds;
    const soft_limit space(RLIMIT_AS);
    const auto before = forkflow_test::belongings();
    constexpr rlim_t mebibyte = rlim_t{1} << 20U;
    attempt seen = attempt_with(space, address_space_bytes() + mebibyte);
    CHECK(seen.error.find("mmap") == 0);
    CHECK(seen.error.find("Cannot allocate memory") != std::string::npos);
    CHECK(forkflow_test::left_behind_since(before) == "");
    // With more, it is something else that cannot be had, a thread for example.
    for (rlim_t more = 2; !seen.error.empty(); more += 4) {
        CAPTURE(more, seen.error);
        REQUIRE(more < 400);
        seen = attempt_with(space, address_space_bytes() + more * mebibyte);
        CHECK(seen.fault == "");
        CHECK(forkflow_test::left_behind_since(before) == "");
    }
    CHECK(seen.failed == 4);
}

namespace {

volatile std::sig_atomic_t signals_over_size =
    0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void count_signal(int /*signal*/) {
    signals_over_size = signals_over_size + 1;
}

/// Sets what happens at SIGXFSZ while it lives.
class on_file_size_signal {
public:
    explicit on_file_size_signal(void (*handler)(int)) {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigaction(SIGXFSZ, &action, &before_);
    }
    ~on_file_size_signal() { ::sigaction(SIGXFSZ, &before_, nullptr); }
    on_file_size_signal(const on_file_size_signal&) = delete;
    on_file_size_signal& operator=(const on_file_size_signal&) = delete;

private:
    struct sigaction before_ {};
};

} // namespace

TEST_CASE("Where files may not be large no node is made, and the error is no signal") {
    const bounded_test bounds;
    constexpr rlim_t some_bytes = 65'536;
    const soft_limit size(RLIMIT_FSIZE);
    signals_over_size = 0;
    for (void (*const handler)(int) : {SIG_DFL, SIG_IGN, count_signal}) {
        const on_file_size_signal handled(handler);
        const attempt seen = attempt_with(size, some_bytes);
        CHECK(seen.error.find("ftruncate") == 0);
        CHECK(seen.error.find("File too large") != std::string::npos);
    }
    CHECK(signals_over_size == 0);
    CHECK(attempt_with(size, RLIM_INFINITY).failed == 4);
}

TEST_CASE("A signal about the size of files that the application holds back stays its own") {
    const bounded_test bounds;
    const on_file_size_signal handled(count_signal);
    const soft_limit size(RLIMIT_FSIZE);
    sigset_t one;
    sigset_t before;
    sigset_t pending;
    ::sigemptyset(&one);
    ::sigaddset(&one, SIGXFSZ);
    ::pthread_sigmask(SIG_BLOCK, &one, &before);
    for (const bool own : {false, true}) {
        signals_over_size = 0;
        if (own) {
            ::raise(SIGXFSZ);
        }
        CHECK(attempt_with(size, 65'536).error.find("ftruncate") == 0);
        ::sigpending(&pending);
        CHECK((::sigismember(&pending, SIGXFSZ) == 1) == own);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    CHECK(signals_over_size == 1);
}

} // namespace machine_test
