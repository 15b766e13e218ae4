// SPDX-License-Identifier: MIT
// What workers may use, and what they say before they die.
#include "support/catch.hpp"
#include "support/cpus.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow::worker_limits;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::shared_flags;

namespace {

/// For bodies: what is not as it should be becomes a failure.
void expect(bool right, const char* what) {
    if (!right) {
        throw std::runtime_error(what);
    }
}

rlim_t soft_limit_on(__rlimit_resource_t resource) {
    rlimit now{};
    ::getrlimit(resource, &now);
    return now.rlim_cur;
}

} // namespace

// ---------------------------------------------------------------------------------------------------------
// Limits

TEST_CASE("What exceeds the limit on memory is a bad_alloc in the body, and fails its message alone") {
    if (forkflow_test::sanitized) {
        return; // sanitizers take memory as they like
    }
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .limits = {.memory_bytes = std::size_t{32} << 20U}},
                     [](number message) {
                         const std::vector<char> memory(message % 10 == 5 ? 64U << 20U : 1U << 20U, 'x');
                         return message + static_cast<number>(memory.back()) - 'x';
                     });
    line.put(0, 40);
    line.finish();
    CHECK(line.fault(40, [](number message, const failure& found) {
        return message % 10 == 5 && found.kind == failure_kind::threw &&
               found.exception_type == "std::bad_alloc" && !found.stack_trace.empty();
    }) == "");
    CHECK(line.outcomes()[5].index() == 1);
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("A body that leaks all the memory it may have still says that there is none") {
    if (forkflow_test::sanitized) {
        return;
    }
    const bounded_test bounds;
    number_line line(pool_options{.workers = 1, .limits = {.memory_bytes = std::size_t{8} << 20U}},
                     [](number message) {
                         static std::vector<void*> lost(1U << 19U);
                         for (std::size_t i = 0; message == 1 && i < lost.size(); ++i) {
                             lost[i] = ::operator new(40);
                         }
                         return message;
                     });
    line.put(0, 10);
    line.finish();
    CHECK(line.fault(10, [](number message, const failure& found) {
        return message == 1 && found.kind == failure_kind::threw && found.exception_type == "std::bad_alloc";
    }) == "");
    CHECK(line.outcomes()[1].index() == 1);
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("A worker that has used its CPU time dies of SIGXCPU, at the cost of one message") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .attempts = 1, .limits = {.cpu_time = 1s}},
                     [](number message) {
                         for (volatile bool forever = message == 3; forever;) {
                         }
                         return message;
                     });
    line.put(0, 20);
    line.finish();
    CHECK(line.fault(20, [](number message, const failure& found) {
        return message == 3 && found.kind == failure_kind::crashed && found.signal == SIGXCPU;
    }) == "");
    CHECK(line.outcomes()[3].index() == 1);
    CHECK(line.statistics().deaths == 1);
}

TEST_CASE("Each limit holds in the body") {
    const bounded_test bounds;
    const std::size_t last = forkflow_test::last_of(forkflow_test::allowed_cpus());
    number_line line(
        pool_options{.workers = 2,
                     .worker_init = [] { expect(soft_limit_on(RLIMIT_NOFILE) == 20, "init"); },
                     .limits = {.cpu_time = 77s,
                                .open_files = 20,
                                .core_bytes = 4096,
                                .niceness = 7,
                                .cpus = {static_cast<int>(last)},
                                .no_new_privs = true}},
        [=](number message) {
            expect(soft_limit_on(RLIMIT_CPU) == 77, "CPU time");
            expect(soft_limit_on(RLIMIT_CORE) == 4096, "core");
            expect(::getpriority(PRIO_PROCESS, 0) == 7, "niceness");
            expect(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs");
            expect(forkflow_test::are_same(forkflow_test::allowed_cpus(), forkflow_test::only(last)), "CPUs");
            std::vector<int> opened;
            while (opened.empty() || opened.back() >= 0) {
                opened.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
            }
            for (const int one : opened) {
                expect(one < 20, "open files");
                ::close(one);
            }
            return message;
        });
    line.put(0, 20);
    line.finish();
    CHECK(line.fault(20) == "");
}

TEST_CASE("Without limits a worker leaves no core file and is else like the application") {
    const bounded_test bounds;
    const rlim_t files = soft_limit_on(RLIMIT_NOFILE);
    const rlim_t data = soft_limit_on(RLIMIT_DATA);
    const int nice = ::getpriority(PRIO_PROCESS, 0);
    number_line line(pool_options{.workers = 1}, [=](number message) {
        expect(soft_limit_on(RLIMIT_CORE) == 0, "core");
        expect(soft_limit_on(RLIMIT_NOFILE) == files, "open files");
        expect(soft_limit_on(RLIMIT_DATA) == data, "memory");
        expect(::getpriority(PRIO_PROCESS, 0) == nice, "niceness");
        return message;
    });
    line.put(0, 1);
    line.finish();
    CHECK(line.fault(1) == "");
}

TEST_CASE("A limit that the system refuses fails the pool, which names the call") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .limits = {.cpus = {CPU_SETSIZE - 1}}}, itself);
    line.put(0, 10);
    line.finish();
    CHECK(line.fault(10, [](number /*message*/, const failure& found) {
        return found.kind == failure_kind::pool_failed &&
               found.what.find("sched_setaffinity: Invalid argument") != std::string::npos;
    }) == "");
    CHECK(line.outcomes()[0].index() == 1);
}

TEST_CASE("Limits out of their range are refused") {
    const auto refused = [](const worker_limits& limits) {
        try {
            const number_line line(pool_options{.workers = 1, .limits = limits}, itself);
            return std::string("none");
        } catch (const std::invalid_argument& error) {
            return std::string(error.what());
        }
    };
    CHECK(refused({.niceness = 20}).find("limits.niceness is 20, but must be -20 to 19") !=
          std::string::npos);
    CHECK(refused({.cpus = {0, CPU_SETSIZE}}).find("limits.cpus is 1024, but must be 0 to 1023") !=
          std::string::npos);
    CHECK(refused({.cpus = {-1}}).find("limits.cpus is -1") != std::string::npos);
    CHECK(refused({.cpu_time = 0s}).find("limits.cpu_time (in seconds) is 0, but must be 1 to") !=
          std::string::npos);
    CHECK(refused({.cpu_time = -1s}).find("limits.cpu_time") != std::string::npos);
}

// ---------------------------------------------------------------------------------------------------------
// Standard error

namespace {

void say(std::string_view text) {
    expect(::write(STDERR_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
}

/// What a pool of one worker keeps of what `speak` says before it dies.
std::string tail_of(void (*speak)(), std::size_t most_bytes, int signal = SIGKILL) {
    number_line line(pool_options{.workers = 1, .attempts = 1, .stderr_tail_bytes = most_bytes},
                     [=](number message) {
                         if (message == 1) {
                             speak();
                             ::raise(signal);
                         }
                         return message;
                     });
    line.put(0, 3);
    line.finish();
    CHECK(line.fault(3, [=](number message, const failure& found) {
        return message == 1 && found.signal == signal;
    }) == "");
    return std::get<failure>(line.outcomes().at(1)).stderr_tail;
}

} // namespace

TEST_CASE("What a worker writes to standard error before it dies is in the failure") {
    const bounded_test bounds;
    const auto speak = [] {
        std::cerr << "by cerr, ";
        (void)std::fprintf(stderr, "by fprintf, ");
        say("by write\n");
    };
    CHECK(tail_of(speak, 1000) == "by cerr, by fprintf, by write\n");
    CHECK(tail_of(speak, 1000, SIGSEGV) == "by cerr, by fprintf, by write\n");
    CHECK(tail_of(speak, 5) == "rite\n");
    CHECK(tail_of([] {}, 1000) == "");
}

TEST_CASE("Of megabytes to standard error the last bytes are kept, and no writer is held up") {
    const bounded_test bounds;
    const auto speak = [] {
        for (int line = 0; line < 40'000; ++line) {
            say("a line that a library writes again and again, whatever for, and nobody has asked it to\n");
        }
        say("last words\n");
    };
    const std::string tail = tail_of(speak, 32'768);
    CHECK(tail.size() == 32'768);
    CHECK(tail.ends_with("asked it to\nlast words\n"));
}

TEST_CASE("A worker that talks and lives is no failure, and a deadline keeps its last words too") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .deadline = 300ms, .attempts = 1, .stderr_tail_bytes = 1000},
                     [](number message) {
                         say("message " + std::to_string(message) + "\n");
                         while (message == 7) {
                             ::pause();
                         }
                         return message;
                     });
    line.put(0, 30);
    line.finish();
    CHECK(line.fault(30, [](number message, const failure& found) {
        return message == 7 && found.kind == failure_kind::timed_out &&
               found.stderr_tail.ends_with("message 7\n");
    }) == "");
}

TEST_CASE("A worker_init that writes and dies is quoted") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 1,
                                  .worker_init =
                                      [] {
                                          say("cannot find model.bin");
                                          std::_Exit(2);
                                      },
                                  .stderr_tail_bytes = 100},
                     itself);
    line.put(0, 1);
    line.finish();
    CHECK(line.fault(1, [](number /*message*/, const failure& found) {
        return found.what.find("status 2 in worker_init; it wrote: cannot find model.bin") !=
               std::string::npos;
    }) == "");
}

TEST_CASE("Unless it is kept, a worker's standard error is the application's") {
    const bounded_test bounds;
    const int own = ::dup(STDERR_FILENO);
    const int file = ::memfd_create("errors", MFD_CLOEXEC);
    ::dup2(file, STDERR_FILENO);
    std::string fault;
    {
        number_line line(pool_options{.workers = 1}, [](number message) {
            say("heard");
            return message;
        });
        line.put(0, 1);
        line.finish();
        fault = line.fault(1);
    }
    ::dup2(own, STDERR_FILENO);
    char heard[10] = {};
    CHECK(::pread(file, heard, sizeof heard - 1, 0) == 5);
    CHECK(std::string(heard) == "heard");
    CHECK(fault == "");
    ::close(own);
    ::close(file);
}

TEST_CASE("Workers of an application that has closed its standard error may write there for nothing") {
    const bounded_test bounds;
    for (const std::size_t kept : {std::size_t{0}, std::size_t{10}}) {
        const int own = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
        ::close(STDERR_FILENO);
        std::string fault;
        {
            number_line line(pool_options{.workers = 2, .stderr_tail_bytes = kept}, [](number message) {
                const std::string text(1000, 'x');
                (void)!::write(STDERR_FILENO, text.data(), text.size());
                return message;
            });
            line.put(0, 500);
            line.finish();
            fault = line.fault(500);
        }
        ::dup2(own, STDERR_FILENO);
        ::close(own);
        CHECK(fault == "");
    }
}

TEST_CASE("A process that a body left behind holds up nobody who reads its standard error") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: children that live; 1: they may end
    {
        number_line line(pool_options{.workers = 1, .attempts = 1, .stderr_tail_bytes = 100},
                         [&](number message) {
                             if (message % 10 == 5) {
                                 if (::fork() == 0) { // escapes from the worker's process group
                                     ::setsid();
                                     flags.add(0);
                                     flags.wait_for(1);
                                     ::_exit(0);
                                 }
                                 flags.wait_for(0, message / 10 + 1);
                                 say("I leave a child");
                                 ::raise(SIGKILL);
                             }
                             return message;
                         });
        line.put(0, 40);
        line.finish();
        CHECK(line.fault(40, [](number message, const failure& found) {
            return message % 10 == 5 && found.stderr_tail == "I leave a child";
        }) == "");
        CHECK(line.statistics().deaths == 4);
        flags.set(1);
    }
}

TEST_CASE("No descriptor is left in the fork server after many deaths") {
    const bounded_test bounds;
    number_line line(pool_options{.workers = 2, .attempts = 1, .recycle_after = 3, .stderr_tail_bytes = 100},
                     [](number message) {
                         say("I die");
                         ::raise(SIGKILL);
                         return message;
                     });
    line.put(0, 10);
    line.finish();
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    const auto descriptors = [&] {
        const std::filesystem::directory_iterator all("/proc/" + std::to_string(servers[0]) + "/fd");
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    };
    const auto idle = [&] { return forkflow_test::children_of(servers[0]).size() == 2; };
    REQUIRE(forkflow_test::comes_true_within(10s, idle));
    const std::size_t before = descriptors();
    const auto last = static_cast<number>(forkflow_test::scaled_down(1010));
    line.put(10, last);
    line.finish();
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return idle() && descriptors() <= before; }));
    CHECK(line.statistics().deaths == last);
}
