// SPDX-License-Identifier: MIT
// Putters, getters and joiners of one queue at the same time, with workers that are threads, so that the
// thread sanitizer sees all sides.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/thread_host.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <poll.h>

namespace queue_threads_test {

using namespace std::chrono_literals;
using forkflow_test::thread_fates;
using forkflow_test::thread_host;

namespace {

using number = std::uint32_t;
using queue_of_numbers = forkflow::ordered_process_queue<number, number>;

// The host must know the pool, which is private: see thread_host.hpp for how this hands it out.
struct pool_key {
    friend forkflow::nodes::pool& pool_of(pool_key, queue_of_numbers&);
};
template <auto Queue, auto Stream, auto Pool>
struct pool_door {
    friend forkflow::nodes::pool& pool_of(pool_key, queue_of_numbers& owner) {
        return owner.*Queue.*Stream.*Pool;
    }
};
template struct pool_door<&queue_of_numbers::queue_,
                          &forkflow::detail::blocking_queue<number, number>::stream_,
                          &forkflow::detail::message_stream<number, number>::pool_>;

constexpr number putters = 3;
constexpr number each = 400;

/// Puts with and without time-outs; returns the sum of what got in.
number put_some(queue_of_numbers& queue) {
    number sum = 0;
    for (number i = 1; i <= each;) {
        const bool in = i % 3 == 0   ? queue.try_put(i)
                        : i % 3 == 1 ? queue.put(i, std::chrono::microseconds(50))
                                     : queue.put(i);
        sum += in ? i : 0;
        i += in ? 1 : 0;
    }
    return sum;
}

/// Gets until the end, now in one way and now in another; returns the sum.
number get_some(queue_of_numbers& queue) {
    number sum = 0;
    for (number round = 0;; ++round) {
        const auto outcome = round % 3 == 0   ? queue.try_get()
                             : round % 3 == 1 ? queue.get(std::chrono::microseconds(50))
                                              : queue.get();
        sum += outcome ? *outcome : 0;
        if (outcome.ended()) {
            return sum;
        }
    }
}

} // namespace

TEST_CASE("Over threads, everything put is got once while others join, look and wait for the descriptor") {
    const forkflow_test::watchdog bounds(200s);
    for (const auto& [window, requests] :
         {std::pair<std::size_t, std::size_t>{1, 1}, {2, 5}, {5, 2}, {16, 16}}) {
        thread_fates fates;
        thread_host::settings how;
        forkflow::pool_options options{.workers = 2, .window = window, .requests = requests};
        options.testing.looks = false; // a wake that is lost stops the test
        options.testing.host = [&](forkflow::nodes::worker_main main) {
            return std::make_unique<thread_host>(std::move(main), fates, how);
        };
        queue_of_numbers queue(options, [](number message) { return message; });
        fates.attach(pool_of(pool_key(), queue));
        std::atomic<number> put{0};
        std::atomic<number> got{0};
        std::vector<std::thread> putting;
        std::vector<std::thread> others;
        for (number i = 0; i < putters; ++i) {
            putting.emplace_back([&] { put += put_some(queue); });
        }
        others.emplace_back([&] { got += get_some(queue); });
        others.emplace_back([&] { got += get_some(queue); });
        others.emplace_back([&] {
            while (queue.is_alive()) {
                pollfd watched{queue.readable_descriptor(), POLLIN, 0};
                ::poll(&watched, 1, -1);
                const auto outcome = queue.try_get();
                got += outcome ? *outcome : 0;
            }
        });
        others.emplace_back([&] {
            while (!queue.is_stopped()) {
                queue.join(std::chrono::microseconds(100));
                const forkflow::statistics now = queue.statistics();
                if (now.received != now.emitted + now.in_flight) {
                    got += 1; // never: the sums below would differ
                }
            }
        });
        for (std::thread& one : putting) {
            one.join();
        }
        queue.stop();
        for (std::thread& one : others) {
            one.join();
        }
        CHECK(put == putters * (each * (each + 1) / 2));
        CHECK(got == put);
    }
}

} // namespace queue_threads_test
