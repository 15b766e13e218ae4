// SPDX-License-Identifier: MIT
// Nodes that are made beside threads which allocate, print, throw and run tasks without pause, and which hold
// the locks of all that at the moment of the fork.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/sanitized.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace crowded_fork_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::number;
using forkflow_test::number_line;

namespace {

/// Threads that do one thing again and again while this lives.
class crowd {
public:
    explicit crowd(const std::vector<std::function<void()>>& habits) {
        for (const auto& habit : habits) {
            threads_.emplace_back([this, habit] {
                ::setpriority(PRIO_PROCESS, static_cast<::id_t>(::gettid()), 10); // to crowd, not to starve
                while (!done_) {
                    habit();
                }
            });
        }
    }
    ~crowd() {
        done_ = true;
        for (std::thread& one : threads_) {
            one.join();
        }
    }
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

private:
    std::atomic<bool> done_{false};
    std::vector<std::thread> threads_;
};

void allocate() {
    std::vector<std::unique_ptr<char[]>> held;
    for (std::size_t bytes = 1; bytes < (std::size_t{1} << 16U); bytes *= 2) {
        held.push_back(std::make_unique<char[]>(bytes));
        held.back()[bytes - 1] = 1;
    }
}

void print_to_file() {
    FILE* const file = std::fopen("/dev/null", "w");
    for (int line = 0; line < 20; ++line) {
        (void)std::fprintf(file, "line %d\n", line);
    }
    (void)std::fclose(file);
}

void print() {
    (void)std::printf("%s", ""); // nothing that is seen, but under the lock
    (void)std::fflush(stdout);
    (void)std::fputs("", stderr);
}

void run_tasks() {
    static thread_local tbb::task_arena arena(2);
    std::atomic<int> sum{0};
    arena.execute([&] {
        tbb::parallel_for(tbb::blocked_range<int>(0, 64, 1), [&](const tbb::blocked_range<int>& part) {
            sum += static_cast<int>(std::string(100, 'x').size()) * part.begin();
        });
    });
}

void throw_and_catch() {
    try {
        throw std::runtime_error("thrown beside a fork");
    } catch (const std::exception& caught) {
        allocate();
    }
}

/// What a body may do after such a fork: allocate, print, throw, format.
number work(number message) {
    allocate();
    print();
    try {
        (void)std::stoi("none");
    } catch (const std::invalid_argument&) {
        return static_cast<number>(std::stoul(std::to_string(message)));
    }
    return 0;
}

/// A node that does some work and is ended.
std::string fault_of_node(number messages) {
    number_line line(pool_options{.workers = 2}, work);
    line.put(0, messages);
    line.finish();
    return line.fault(messages);
}

} // namespace

TEST_CASE("Two hundred nodes are made beside busy threads, and each works") {
    if (forkflow_test::sanitized) {
        return; // the sanitizers' own allocators stay locked in a forked child
    }
    const bounded_test bounds;
    const crowd busy(
        {allocate, allocate, print_to_file, print_to_file, print, run_tasks, run_tasks, throw_and_catch});
    for (std::size_t i = 0; i < 200; ++i) {
        CAPTURE(i);
        REQUIRE(fault_of_node(4) == "");
    }
}

TEST_CASE("Nodes may be made by several threads and tasks at a time") {
    if (forkflow_test::sanitized) {
        return; // as above
    }
    const bounded_test bounds;
    std::atomic<int> right{0};
    const auto make = [&] { right += fault_of_node(10).empty() ? 1 : 0; };
    std::vector<std::thread> makers;
    for (int i = 0; i < 4; ++i) {
        makers.emplace_back([&] {
            for (int round = 0; round < 10; ++round) {
                make();
            }
        });
    }
    tbb::parallel_for(0, 20, [&](int /*index*/) { make(); });
    for (std::thread& one : makers) {
        one.join();
    }
    CHECK(right == 60);
}

} // namespace crowded_fork_test
