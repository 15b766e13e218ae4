// SPDX-License-Identifier: MIT
// With many workers each has places for a part of the window only. Nobody notices.
#include "support/catch.hpp"
#include "support/engine_shared.hpp"
#include "support/leftovers.hpp"

#include <forkflow/ordered_process_queue.hpp>
#include <forkflow/result_writer.hpp>

#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <variant>

namespace many_workers_test {

using forkflow::failure;
using forkflow_test::bounded_test;

namespace {

using outcome = std::variant<int, failure>;
using queue_of_numbers = forkflow::ordered_process_queue<int, outcome>;

int next(int number) {
    return number + 1;
}

/// Asks for the next outcome until it is there, and never waits for it.
int polled(queue_of_numbers& queue) {
    for (;;) {
        if (auto got = queue.try_get()) {
            return std::get<int>(*got);
        }
        ::sched_yield();
    }
}

} // namespace

TEST_CASE("Who puts one message after the other, and only polls, gets each of them") {
    const bounded_test bounds;
    for (const std::size_t workers : {5U, 16U, 24U}) {
        queue_of_numbers queue(forkflow::pool_options{.workers = workers}, next);
        for (int i = 0; i < 300; ++i) {
            REQUIRE(queue.put(i));
            REQUIRE(polled(queue) == i + 1);
        }
    }
}

TEST_CASE("Nobody needs to get for many workers to take as much as the queue's bounds say") {
    const bounded_test bounds;
    for (const std::size_t workers : {5U, 8U, 16U}) {
        for (const std::size_t requests : {std::size_t{1}, 10 * workers}) {
            CAPTURE(workers, requests);
            queue_of_numbers queue(
                forkflow::pool_options{.workers = workers, .window = 10 * workers, .requests = requests},
                next);
            const auto most = static_cast<int>(10 * workers + requests);
            for (int i = 0; i < most; ++i) {
                REQUIRE(queue.put(i, std::chrono::seconds(20)));
            }
            CHECK_FALSE(queue.try_put(most));
            for (int i = 0; i < most; ++i) {
                REQUIRE(std::get<int>(*queue.get()) == i + 1);
            }
        }
    }
}

TEST_CASE("Deaths take no room from the queue") {
    const bounded_test bounds;
    for (const std::size_t workers : {1U, 2U, 8U}) {
        CAPTURE(workers);
        const forkflow_test::shared_value<std::array<std::atomic<int>, 8>> attempts;
        forkflow::ordered_process_queue<int, std::string> queue(
            forkflow::pool_options{.workers = workers, .window = 4, .requests = 4, .attempts = 3},
            [&attempts](int number, forkflow::result_writer<std::string>& out) {
                out.resize(1)[0] = static_cast<char>('a' + number);
                if ((*attempts)[static_cast<std::size_t>(number)].fetch_add(1) < 2) {
                    std::abort(); // when the result has its place already
                }
            });
        for (int i = 0; i < 8; ++i) {
            REQUIRE(queue.put(i, std::chrono::seconds(20)));
        }
        for (int i = 0; i < 8; ++i) {
            REQUIRE(*queue.get() == std::string(1, static_cast<char>('a' + i)));
        }
    }
}

TEST_CASE("No deadline passes because the consumer stays away") {
    const bounded_test bounds;
    constexpr std::chrono::milliseconds deadline(100);
    queue_of_numbers queue(forkflow::pool_options{.workers = 16, .deadline = deadline}, next);
    for (int i = 0; i < 60; ++i) {
        REQUIRE(queue.put(i));
        REQUIRE(polled(queue) == i + 1);
        if (i % 20 == 19) { // by now one worker may have had all messages
            REQUIRE(queue.put(i));
            std::this_thread::sleep_for(5 * deadline); // that is what a consumer does who is away
            REQUIRE(std::get<int>(*queue.get()) == i + 1);
        }
    }
    CHECK(queue.statistics().deaths == 0);
}

} // namespace many_workers_test
