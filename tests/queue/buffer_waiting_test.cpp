// SPDX-License-Identifier: MIT
// Waiting for room for a buffer: until an outcome or a copy makes it, and no longer than was said.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace buffer_waiting_test {

using namespace std::chrono_literals;
using forkflow::buffer;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::comes_true_within;
using forkflow_test::is_asleep;

namespace {

using queue_of_buffers = forkflow::ordered_process_queue<buffer, std::size_t>;

constexpr std::size_t page = 4096;

/// How many bytes are 1.
std::size_t sum_of(std::span<const std::byte> bytes) {
    std::size_t sum = 0;
    for (const std::byte each : bytes) {
        sum += static_cast<std::size_t>(each);
    }
    return sum;
}

buffer ones(buffer made) {
    std::memset(made.bytes().data(), 1, made.size());
    return made;
}

pool_options room_for(std::size_t bytes) {
    pool_options options{.workers = 2, .window = 8, .buffer_bytes = bytes};
    options.testing.looks = false; // a wake that is lost stays lost
    return options;
}

} // namespace

TEST_CASE("Who waits for a buffer gets it when an outcome or a copy makes room, and not before") {
    const bounded_test bounds;
    queue_of_buffers queue(room_for(10 * page), sum_of);
    for (const bool by_outcome : {true, false}) {
        for (const auto timeout : {std::chrono::nanoseconds::max(), std::chrono::nanoseconds(200s)}) {
            CAPTURE(by_outcome, timeout.count());
            std::optional<buffer> first = ones(queue.make_buffer(10 * page));
            if (by_outcome) {
                REQUIRE(queue.put(*first));
                first.reset();
            }
            std::atomic<::pid_t> waiter{0};
            std::atomic<bool> released{false};
            bool early = false;
            std::optional<buffer> second;
            std::thread maker([&] {
                waiter.store(::gettid());
                second = queue.make_buffer(5 * page, timeout);
                early = !released.load();
            });
            const bool slept =
                comes_true_within(10s, [&] { return waiter.load() != 0 && is_asleep(waiter.load()); });
            released.store(true);
            std::size_t got = 10 * page;
            if (by_outcome) {
                got = queue.get().value();
            } else {
                first.reset();
            }
            maker.join();
            CHECK(slept);
            CHECK(got == 10 * page);
            CHECK_FALSE(early);
            REQUIRE(second);
            CHECK(second->size() == 5 * page);
        }
    }
}

TEST_CASE("Without room a buffer is waited for as long as was said, and not at all if it can never be") {
    const bounded_test bounds;
    queue_of_buffers queue(room_for(10 * page), sum_of);
    CHECK_FALSE(queue.make_buffer(10 * page + 1, std::chrono::hours::max()));
    const std::optional<buffer> all = queue.make_buffer(10 * page, 0s);
    REQUIRE(all); // there was room
    CHECK_FALSE(queue.make_buffer(1, 0s));
    CHECK_FALSE(queue.make_buffer(1, -1h));
    const auto begun = std::chrono::steady_clock::now();
    CHECK_FALSE(queue.make_buffer(1, 30ms));
    CHECK(std::chrono::steady_clock::now() - begun >= 30ms);
}

TEST_CASE("A queue that is stopped lets nobody wait for a buffer, and gives what is there") {
    const bounded_test bounds;
    for (int round = 0; round < 20; ++round) {
        queue_of_buffers queue(room_for(10 * page), sum_of);
        std::optional<buffer> all = queue.make_buffer(10 * page);
        bool made = true;
        std::thread maker([&] { made = queue.make_buffer(1, std::chrono::hours::max()).has_value(); });
        queue.stop(); // before it waits or while it does
        maker.join();
        CHECK_FALSE(made);
        all.reset();
        CHECK(queue.make_buffer(1, std::chrono::hours::max()));
    }
}

TEST_CASE("Many who wait for buffers of all sizes all get theirs, with room for a few at a time") {
    const bounded_test bounds;
    constexpr std::size_t room = 64 * page;
    constexpr std::size_t makers = 3;
    constexpr std::size_t each = 300;
    const auto size_of = [](std::size_t maker, std::size_t i) {
        return 1 + (i * 7919 + maker * 104729) % room;
    };
    queue_of_buffers queue(room_for(room), sum_of);
    std::vector<std::thread> threads;
    std::size_t expected = 0;
    for (std::size_t maker = 0; maker < makers; ++maker) {
        for (std::size_t i = 0; i < each; ++i) {
            expected += size_of(maker, i);
        }
        threads.emplace_back([&, maker] {
            for (std::size_t i = 0; i < each; ++i) {
                queue.put(ones(queue.make_buffer(size_of(maker, i), std::chrono::hours::max()).value()));
            }
        });
    }
    std::size_t sum = 0;
    for (std::size_t i = 0; i < makers * each; ++i) {
        sum += queue.get().value();
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(sum == expected);
}

} // namespace buffer_waiting_test
