// SPDX-License-Identifier: MIT
// Nodes whose workers come from a forkflow::fork_server: what it is for, what it hands over and what it
// refuses.
#include "support/body_line.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::fork_server;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::kill_process_named;
using forkflow_test::launcher;
using forkflow_test::number;
using forkflow_test::pool_server;
using forkflow_test::process_named;
using line = forkflow_test::body_line;

namespace {

number plain_body(number message) {
    return 3 * message;
}
number thrice(number message) {
    return 3 * message;
}

/// A body with a state that means the same everywhere.
struct affine {
    number factor;
    number offset;
    number operator()(number message) const { return factor * message + offset; }
};

/// A lock that some library of the application takes, in the application and in bodies.
std::mutex& library_lock() {
    static std::mutex lock;
    return lock;
}

number locking_body(number message) {
    const std::scoped_lock lock(library_lock());
    return 3 * message;
}

/// Threads that allocate and print without pause, and one that holds the library's lock.
class busy_program {
public:
    busy_program() {
        for (int i = 0; i < 8; ++i) {
            threads_.emplace_back([this] {
                while (!done_) {
                    const std::vector<char> some(1000, 'x');
                    (void)std::fputs(some.back() == 'x' ? "" : "?", stdout);
                    std::this_thread::yield();
                }
            });
        }
        std::promise<void> locked;
        threads_.emplace_back([this, &locked] {
            const std::scoped_lock lock(library_lock());
            locked.set_value();
            done_.wait(false);
        });
        locked.get_future().wait();
    }
    ~busy_program() {
        done_ = true;
        done_.notify_all();
        for (std::thread& one : threads_) {
            one.join();
        }
    }
    busy_program(const busy_program&) = delete;
    busy_program& operator=(const busy_program&) = delete;

private:
    std::atomic<bool> done_{false};
    std::vector<std::thread> threads_;
};

template <class Body>
std::string refusal(const pool_options& options, Body body) {
    try {
        const line refused(options, body);
        return "none";
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

} // namespace

// ---------------------------------------------------------------------------------------------------------
// What it is for

TEST_CASE("A node that is made beside threads inherits their locks, unless a fork_server was there before") {
    const bounded_test bounds;
    fork_server early;
    const busy_program busy;
    {
        line without(pool_options{.workers = 1, .deadline = 200ms, .attempts = 1}, locking_body);
        without.put(0, 1);
        without.finish();
        CHECK(std::get<failure>(without.outcomes().at(0)).kind == failure_kind::timed_out);
    }
    line with(pool_options{.workers = 2, .deadline = 20s, .server = &early}, locking_body);
    CHECK(with.fault_of(100, thrice) == "");
    CHECK(with.statistics().deaths == 0);
}

TEST_CASE("A fork_server takes functions, lambdas without captures and states that are plain bytes") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    CHECK(line(options, plain_body).fault_of(50, thrice) == "");
    CHECK(line(options, [](number message) { return 3 * message; }).fault_of(50, thrice) == "");
    number offset = 7;
    CHECK(line(options, [offset](number message) {
              return message + offset;
          }).fault_of(50, [](number message) { return message + 7; }) == "");
    CHECK(line(options, affine{5, 2}).fault_of(50, [](number message) { return 5 * message + 2; }) == "");
}

TEST_CASE("A fork_server refuses what it cannot hand over, and says why") {
    const bounded_test bounds;
    fork_server early;
    const std::string text = "captured";
    const auto with_text = [text](number message) { return message + static_cast<number>(text.size()); };
    const std::string refused = refusal({.workers = 1, .server = &early}, with_text);
    CHECK(refused.find("pool_options::server") != std::string::npos);
    CHECK(refused.find("not trivially copyable") != std::string::npos);
    const std::string of_init =
        refusal({.workers = 1, .worker_init = [text] {}, .server = &early}, plain_body);
    CHECK(of_init.find("pool_options::worker_init must be a function pointer") != std::string::npos);
    const std::string of_sandbox =
        refusal({.workers = 1, .sandbox = [text] {}, .server = &early}, plain_body);
    CHECK(of_sandbox.find("pool_options::sandbox must be a function pointer") != std::string::npos);
    CHECK(refusal({.workers = 1, .keep_descriptors = std::vector<int>(65, 1), .server = &early}, plain_body)
              .find("keep_descriptors has 65 entries") != std::string::npos);
    CHECK_THROWS_AS(line({.workers = 1, .keep_descriptors = {9999}, .server = &early}, plain_body),
                    std::system_error);
    CHECK(line({.workers = 1, .server = &early}, plain_body).fault_of(5, thrice) == ""); // and lives
}

TEST_CASE("Code that was loaded after the fork_server is refused") {
    const bounded_test bounds;
    fork_server early;
    void* const loaded = ::dlopen(LATE_CODE, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(loaded != nullptr);
    auto* const body = reinterpret_cast<number (*)(number)>(::dlsym(loaded, "late_body"));
    auto* const init = reinterpret_cast<void (*)()>(::dlsym(loaded, "late_init"));
    const std::string words = "was started before the code of the body, of worker_init or of sandbox";
    CHECK(refusal({.workers = 1, .server = &early}, body).find(words) != std::string::npos);
    CHECK(refusal({.workers = 1, .worker_init = init, .server = &early}, plain_body).find(words) !=
          std::string::npos);
    CHECK(refusal({.workers = 1, .sandbox = init, .server = &early}, plain_body).find(words) !=
          std::string::npos);
    {
        fork_server late; // knows it
        line knowing({.workers = 1, .worker_init = init, .server = &late}, body);
        CHECK(knowing.fault_of(5, [](number message) { return message; }) == "");
    }
    ::dlclose(loaded);
}

namespace {

bool prepared = false; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): of each worker

} // namespace

TEST_CASE("worker_init, limits, deadlines, recycling, verified results and kept errors work through a "
          "fork_server") {
    const bounded_test bounds;
    fork_server early;
    line all(pool_options{.workers = 2,
                          .verify_results = true,
                          .deadline = 10s,
                          .attempts = 1,
                          .recycle_after = 10,
                          .recycle_age = 1h,
                          .recycle_growth_bytes = std::size_t{1} << 30U,
                          .worker_init = +[] { prepared = true; },
                          .sandbox = +[] { prepared = prepared && ::getpid() > 0; },
                          .limits = {.cpu_time = 100s, .open_files = 50, .no_new_privs = true},
                          .stderr_tail_bytes = 100,
                          .server = &early},
             [](number message) {
                 if (message == 42) {
                     (void)std::fputs("last words", stderr);
                     ::raise(SIGSEGV);
                 }
                 return prepared ? message : 0;
             });
    all.put(0, 200);
    all.finish();
    CHECK(all.fault(
              200, [](number message) { return message; },
              [](number message, const failure& found) {
                  return message == 42 && found.signal == SIGSEGV && found.stderr_tail == "last words" &&
                         !found.stack_trace.empty();
              }) == "");
    CHECK(all.outcomes()[42].index() == 1);
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return all.statistics().recycled > 0; }));
    CHECK(all.statistics().deaths == 1);
}

namespace {

/// Files whose content is their own number, at all numbers that are free below 40.
class numbered_files {
public:
    numbered_files() {
        for (int number = 3; number < 40; ++number) {
            if (::fcntl(number, F_GETFD) == -1) {
                const int file = ::memfd_create("numbered", MFD_CLOEXEC);
                if (file != number) {
                    ::dup3(file, number, O_CLOEXEC);
                    ::close(file);
                }
                (void)!::pwrite(number, &number, sizeof number, 0);
                numbers.push_back(number);
            }
        }
    }
    ~numbered_files() { close_all(); }
    numbered_files(const numbered_files&) = delete;
    numbered_files& operator=(const numbered_files&) = delete;
    void close_all() {
        for (const int number : numbers) {
            ::close(number);
        }
    }
    std::vector<int> numbers;
};

number number_in_file(number file) {
    int content = -1;
    (void)!::pread(static_cast<int>(file), &content, sizeof content, 0);
    return static_cast<number>(content);
}

} // namespace

TEST_CASE("Descriptors are handed over under their numbers, also to a later fork server") {
    const bounded_test bounds;
    fork_server early;
    numbered_files files;
    REQUIRE(files.numbers.size() > 20);
    line reading(pool_options{.workers = 2, .keep_descriptors = files.numbers, .server = &early},
                 number_in_file);
    const auto fault = [&](number count) {
        for (const int file : files.numbers) {
            reading.put(static_cast<number>(file), static_cast<number>(file) + 1);
        }
        reading.finish();
        return reading.fault(count, [&](number message) {
            return static_cast<number>(files.numbers[message % files.numbers.size()]);
        });
    };
    const auto count = static_cast<number>(files.numbers.size());
    CHECK(fault(count) == "");
    // The application may close them: what was handed over stays.
    files.close_all();
    REQUIRE(kill_process_named(pool_server));
    CHECK(fault(2 * count) == "");
    files.numbers.clear();
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return reading.statistics().deaths >= 2; }));
}

TEST_CASE("Several threads make nodes of one fork_server at a time, and it ends after them") {
    const bounded_test bounds;
    auto early = std::make_unique<fork_server>();
    std::atomic<int> right{0};
    {
        std::vector<std::thread> makers;
        for (int i = 0; i < 4; ++i) {
            makers.emplace_back([&] {
                for (int round = 0; round < 5; ++round) {
                    right +=
                        line({.workers = 2, .server = early.get()}, plain_body).fault_of(20, thrice).empty()
                            ? 1
                            : 0;
                }
            });
        }
        for (std::thread& one : makers) {
            one.join();
        }
    }
    CHECK(right == 20);
    CHECK(process_named(launcher) > 0);
    early.reset();
    CHECK(process_named(launcher) == 0);
}
