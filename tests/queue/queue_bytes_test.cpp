// SPDX-License-Identifier: MIT
// A queue whose window is bounded by bytes: who puts waits for them, and hears of each way in which they
// become free.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace queue_bytes_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::shared_flags;

namespace {

constexpr std::size_t kibibyte = 1024;

using queue_of_texts = forkflow::ordered_process_queue<std::string, std::size_t>;

std::size_t length(const std::string& text) {
    return text.size();
}

pool_options bounded_by_bytes() {
    return {.workers = 2, .window = 50, .max_message_bytes = 64 * kibibyte, .window_bytes = 100 * kibibyte};
}

} // namespace

TEST_CASE("put waits while the bytes are used up, try_put refuses, and a get makes room for one") {
    const bounded_test bounds;
    queue_of_texts queue(bounded_by_bytes(), length);
    const std::string text(60 * kibibyte, 'x');
    REQUIRE(queue.put(text));
    REQUIRE(queue.put(text));
    for (int round = 0; round < 50; ++round) { // it does not matter that both have long been run
        CHECK_FALSE(queue.try_put(text));
        CHECK_FALSE(queue.put(text, 1us));
        bool taken = false;
        std::thread putter([&] { taken = queue.put(text); });
        CHECK(queue.get().value() == text.size());
        putter.join();
        CHECK(taken);
    }
    CHECK_FALSE(queue.try_put("x")); // small ones are no exception
    CHECK(queue.get().value() == text.size());
    CHECK(queue.try_put("x"));
    CHECK(queue.statistics().failures == 0);
}

TEST_CASE("A message that is larger than the whole bound is a failure in its place") {
    const bounded_test bounds;
    using outcome = std::variant<std::size_t, failure>;
    pool_options options = bounded_by_bytes();
    options.window_bytes = 10 * kibibyte;
    forkflow::ordered_process_queue<std::string, outcome> queue(options, length);
    for (const std::size_t size : {9 * kibibyte, 11 * kibibyte, 9 * kibibyte}) {
        REQUIRE(queue.put(std::string(size, 'x')));
    }
    CHECK(std::get<std::size_t>(*queue.get()) == 9 * kibibyte);
    const outcome refused = *queue.get();
    REQUIRE(std::holds_alternative<failure>(refused));
    CHECK(std::get<failure>(refused).kind == failure_kind::too_large);
    CHECK(std::get<failure>(refused).limit_bytes == 10 * kibibyte);
    CHECK(std::get<failure>(refused).size_bytes > 11 * kibibyte);
    CHECK(std::get<std::size_t>(*queue.get()) == 9 * kibibyte);
}

TEST_CASE("Any number of threads put and get through a window that is bounded by bytes") {
    const bounded_test bounds;
    for (const std::size_t window_bytes :
         {64 * kibibyte, 200 * kibibyte}) { // messages can be as large as all
        pool_options options = bounded_by_bytes();
        options.window_bytes = window_bytes;
        queue_of_texts queue(options, length);
        constexpr std::size_t each = 100;
        std::vector<std::thread> putters;
        for (std::size_t k = 0; k < 3; ++k) {
            putters.emplace_back([&, k] {
                for (std::size_t i = 0; i < each; ++i) {
                    queue.put(std::string((i * 37 + k * 11) % 60 * kibibyte, 'x'));
                }
            });
        }
        std::size_t sum = 0;
        std::thread getter([&] {
            for (const std::size_t size : queue) {
                sum += size;
            }
        });
        for (std::thread& putter : putters) {
            putter.join();
        }
        queue.stop();
        getter.join();
        std::size_t expected = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            for (std::size_t i = 0; i < each; ++i) {
                expected += (i * 37 + k * 11) % 60 * kibibyte;
            }
        }
        CHECK(sum == expected);
    }
}

TEST_CASE("What join sets aside makes room for those who wait for bytes") {
    const bounded_test bounds;
    const shared_flags released(1);
    queue_of_texts queue(bounded_by_bytes(), [&](const std::string& text) {
        released.wait_for(0);
        return text.size();
    });
    const std::string text(60 * kibibyte, 'x');
    REQUIRE(queue.put(text));
    REQUIRE(queue.put(text));
    bool taken = false;
    std::thread putter([&] { taken = queue.put(text); });
    std::thread joiner([&] { queue.join(); });
    released.set(0);
    putter.join();
    joiner.join();
    CHECK(taken);
    for (int i = 0; i < 3; ++i) {
        CHECK(queue.get().value() == text.size());
    }
}

TEST_CASE(
    "Large results wait in their workers while the bytes are used up, and the next to leave never does") {
    const bounded_test bounds;
    pool_options options = bounded_by_bytes();
    options.workers = 3;
    forkflow::ordered_process_queue<std::size_t, std::string> queue(
        options, [](std::size_t size) { return std::string(size, 'x'); });
    for (std::size_t i = 0; i < 40; ++i) {
        REQUIRE(queue.put(i % 7 * 9 * kibibyte));
    }
    for (std::size_t i = 0; i < 40; ++i) {
        CHECK(queue.get().value() == std::string(i % 7 * 9 * kibibyte, 'x'));
    }
    for (std::size_t i = 0; i < 20; ++i) { // got by somebody who never waits
        REQUIRE(queue.put(50 * kibibyte));
    }
    for (std::size_t got = 0; got < 20;) {
        got += queue.try_get() ? 1U : 0U;
        std::this_thread::yield();
    }
}

} // namespace queue_bytes_test
