// SPDX-License-Identifier: MIT
// Waiting on a queue: time-outs, room, the end of the stream, joining, and descriptors for event loops.
#include "support/brittle_marker.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

namespace queue_waiting_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::comes_true_within;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;
using queue_of_numbers = forkflow::ordered_process_queue<number, number>;

number itself(number message) {
    return message;
}

/// A queue whose bodies wait until they are released.
struct held_queue {
    explicit held_queue(pool_options options)
        : queue(std::move(options), [this](number message) {
            released.wait_for(0);
            return message;
        }) {}
    void release() const { released.set(0); }

    shared_flags released{1};
    queue_of_numbers queue;
};

bool is_readable(int descriptor) {
    pollfd watched{descriptor, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
}

/// Sleeps until it is.
void wait_until_readable(int descriptor) {
    pollfd watched{descriptor, POLLIN, 0};
    REQUIRE(::poll(&watched, 1, -1) == 1);
}

} // namespace

TEST_CASE("get returns without an outcome when its time is over, and says so") {
    const bounded_test bounds;
    held_queue held({.workers = 1});
    CHECK(held.queue.try_get().timed_out());
    CHECK(held.queue.get(0s).timed_out());
    CHECK(held.queue.get(-1h).timed_out());
    REQUIRE(held.queue.put(5));
    const auto none = held.queue.get(1ms);
    CHECK_FALSE(none);
    CHECK(none.status() == forkflow::get_status::timed_out);
    CHECK_THROWS_AS(none.value(), std::bad_optional_access);
    CHECK(held.queue.is_alive());
    held.release();
    CHECK(held.queue.get(60s).value() == 5);
}

TEST_CASE("Time-outs may be of any duration type and of any size") {
    const bounded_test bounds;
    queue_of_numbers queue(1, itself);
    using minutes = std::chrono::duration<std::int8_t, std::ratio<60>>;
    using ticks = std::chrono::duration<int, std::milli>;
    REQUIRE(queue.put(0, std::chrono::hours::max()));
    CHECK(queue.get(std::chrono::nanoseconds::max()).value() == 0);
    REQUIRE(queue.put(1, std::chrono::duration<double>(std::numeric_limits<double>::infinity())));
    CHECK(queue.get(std::chrono::duration<float>(60.5F)).value() == 1);
    REQUIRE(queue.put(2, minutes(1)));
    CHECK(queue.get(minutes(127)).value() == 2);
    REQUIRE(queue.put(3, ticks::max()));
    CHECK(queue.get(ticks::max()).value() == 3);
    CHECK(queue.get(std::chrono::hours::min()).timed_out());
    CHECK(queue.get(std::chrono::duration<double>(-1e300)).timed_out());
}

TEST_CASE("put refuses when there is no room in time, and uses up no number") {
    const bounded_test bounds;
    const shared_flags released(1);
    using outcome = std::variant<number, forkflow::failure>;
    forkflow::ordered_process_queue<number, outcome> queue(
        pool_options{.workers = 1, .window = 1, .requests = 1}, [&](number message) -> number {
            released.wait_for(0);
            throw std::runtime_error(std::to_string(message));
        });
    REQUIRE(queue.put(0));
    for (number refused = 0; refused < 100; ++refused) {
        REQUIRE_FALSE(queue.try_put(refused));
    }
    CHECK_FALSE(queue.put(1, 0ns));
    CHECK_FALSE(queue.put(1, 1ms));
    released.set(0);
    REQUIRE(queue.put(1, 60s));
    CHECK(std::get<forkflow::failure>(*queue.get()).sequence == 0);
    CHECK(std::get<forkflow::failure>(*queue.get()).sequence == 1);
}

TEST_CASE("put gets in once there is one place, though bodies last and no further place comes") {
    const bounded_test bounds;
    const shared_flags released(11);
    queue_of_numbers queue(pool_options{.workers = 2, .window = 10, .requests = 10}, [&](number message) {
        released.wait_for(message);
        return message;
    });
    for (number message = 0; message < 10; ++message) {
        REQUIRE(queue.try_put(message));
    }
    REQUIRE_FALSE(queue.try_put(10));
    constexpr auto limit = 20s;
    const auto begin = std::chrono::steady_clock::now();
    std::atomic<bool> accepted{false};
    std::atomic<::pid_t> thread{0};
    std::thread putter([&] {
        thread = ::gettid();
        accepted = queue.put(10, limit);
    });
    CHECK(comes_true_within(10s, [&] { return thread != 0 && forkflow_test::is_asleep(thread); }));
    released.set(1);
    putter.join();
    CHECK(accepted);
    CHECK(std::chrono::steady_clock::now() - begin < limit);
    for (number message = 0; message < 11; ++message) {
        released.set(message);
    }
}

TEST_CASE("Nobody needs to get for the queue to take as much as its bounds say") {
    const bounded_test bounds;
    for (const auto& bounds_of :
         {std::pair<std::size_t, std::size_t>{1, 1}, {10, 10}, {3, 20}, {20, 3}, {1, 50}, {50, 1}}) {
        const std::size_t window = bounds_of.first; // clang 14 lets no lambda have a structured binding
        const std::size_t requests = bounds_of.second;
        queue_of_numbers queue(pool_options{.workers = 2, .window = window, .requests = requests}, itself);
        for (std::size_t message = 0; message < window + requests; ++message) {
            REQUIRE(queue.put(static_cast<number>(message)));
        }
        CHECK_FALSE(queue.try_put(0));
        for (number round = 0; round < 20; ++round) { // whoever waits for room needs one get, not several
            std::thread putter([&] { queue.put(number(window + requests) + round); });
            CHECK(queue.get().value() == round);
            putter.join();
        }
    }
}

TEST_CASE("A putter that polls gets in after one get") {
    const bounded_test bounds;
    queue_of_numbers queue(pool_options{.workers = 2, .window = 8, .requests = 8}, itself);
    for (number message = 0; message < 16; ++message) {
        REQUIRE(queue.put(message));
    }
    for (number round = 0; round < 20; ++round) {
        CHECK(queue.get().value() == round);
        while (!queue.try_put(16 + round)) {
            std::this_thread::yield();
        }
    }
}

TEST_CASE("After stop, what is inside comes out, and then the stream has ended") {
    const bounded_test bounds;
    held_queue held({.workers = 2});
    for (number message = 0; message < 5; ++message) {
        REQUIRE(held.queue.put(message));
    }
    CHECK_FALSE(held.queue.is_stopped());
    held.queue.stop();
    CHECK(held.queue.is_stopped());
    CHECK_FALSE(held.queue.put(9));
    CHECK_FALSE(held.queue.try_put(9));
    CHECK(held.queue.get(1ms).timed_out());
    CHECK(held.queue.is_alive());
    held.release();
    number next = 0;
    for (const number& outcome : held.queue) {
        CHECK(outcome == next++);
    }
    CHECK(next == 5);
    CHECK_FALSE(held.queue.is_alive());
    CHECK(held.queue.get().ended());
    CHECK(held.queue.try_get().ended());
    CHECK(held.queue.get(1h).status() == forkflow::get_status::ended);
    held.queue.stop(); // once more does no harm
    CHECK(held.queue.get().ended());
}

TEST_CASE("stop ends the wait of every getter and every putter") {
    const bounded_test bounds;
    for (int round = 0; round < 20; ++round) {
        held_queue held({.workers = 1, .window = 1, .requests = 1});
        queue_of_numbers empty(1, itself);
        REQUIRE(held.queue.put(0));
        std::atomic<int> refused{0};
        std::atomic<int> ended{0};
        std::vector<std::thread> waiting;
        for (int i = 0; i < 3; ++i) {
            waiting.emplace_back([&] { refused += held.queue.put(1) ? 0 : 1; });
            waiting.emplace_back([&] { ended += empty.get().ended() ? 1 : 0; });
        }
        for (int pause = 0; pause < 10 * round; ++pause) { // some of them sleep by now, or all, or none
            std::this_thread::yield();
        }
        held.queue.stop();
        empty.stop();
        for (std::thread& one : waiting) {
            one.join();
        }
        CHECK(refused == 3);
        CHECK(ended == 3);
        held.release();
        CHECK(held.queue.get().value() == 0);
    }
}

TEST_CASE("The last getter who gets something lets the others see the end") {
    const bounded_test bounds;
    for (int round = 0; round < 20; ++round) {
        held_queue held({.workers = 1});
        REQUIRE(held.queue.put(0));
        held.queue.stop();
        std::atomic<int> got{0};
        std::vector<std::thread> getters;
        for (int i = 0; i < 4; ++i) {
            getters.emplace_back([&] { got += held.queue.get() ? 1 : 0; });
        }
        held.release();
        for (std::thread& one : getters) {
            one.join();
        }
        CHECK(got == 1);
    }
}

TEST_CASE("join waits until everything inside has been run, without anybody who gets") {
    const bounded_test bounds;
    held_queue held({.workers = 2, .window = 2, .requests = 6});
    for (number message = 0; message < 6; ++message) {
        REQUIRE(held.queue.put(message));
    }
    CHECK_FALSE(held.queue.join(1ms));
    CHECK_FALSE(held.queue.join(0s));
    held.release();
    held.queue.join();
    CHECK(held.queue.join(0s)); // all is done
    CHECK(held.queue.is_alive());
    CHECK(held.queue.statistics().in_flight == 0);
    REQUIRE(held.queue.put(6));
    held.queue.stop();
    CHECK(held.queue.join(60s));
    for (number message = 0; message < 7; ++message) {
        CHECK(held.queue.try_get().value() == message);
    }
    CHECK(held.queue.try_get().ended());
    CHECK_FALSE(held.queue.is_alive());
    held.queue.join(); // nothing to wait for
}

TEST_CASE("What join has set aside counts: no more than requests and window are ever inside") {
    const bounded_test bounds;
    constexpr number bound = 5;
    queue_of_numbers queue(pool_options{.workers = 1, .window = 2, .requests = 3}, itself);
    for (number message = 0; message < bound; ++message) {
        REQUIRE(queue.put(message));
    }
    queue.join();
    CHECK_FALSE(queue.try_put(bound));
    for (number round = 0; round < 10; ++round) {
        std::thread putter([&] { queue.put(bound + round); });
        CHECK(queue.get().value() == round);
        putter.join();
        queue.join();
        CHECK_FALSE(queue.try_put(0));
    }
}

TEST_CASE("Threads may join while others put, get and join") {
    const bounded_test bounds;
    const auto messages = static_cast<number>(forkflow_test::scaled_down(5'000));
    queue_of_numbers queue(pool_options{.workers = 2, .window = 4, .requests = 4}, itself);
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            while (!queue.is_stopped()) {
                queue.join();
            }
            queue.join();
        });
    }
    threads.emplace_back([&] {
        for (number message = 0; message < messages; ++message) {
            queue.put(message);
        }
        queue.stop();
    });
    number next = 0;
    for (const number& outcome : queue) {
        REQUIRE(outcome == next++);
    }
    CHECK(next == messages);
    for (std::thread& one : threads) {
        one.join();
    }
}

TEST_CASE("The descriptor is readable as long as there is something to get") {
    const bounded_test bounds;
    held_queue held({.workers = 2});
    const int descriptor = held.queue.readable_descriptor();
    CHECK(held.queue.readable_descriptor() == descriptor);
    CHECK_FALSE(is_readable(descriptor));
    REQUIRE(held.queue.put(0));
    REQUIRE(held.queue.put(1));
    CHECK_FALSE(is_readable(descriptor));
    held.release();
    for (number message = 0; message < 2; ++message) {
        wait_until_readable(descriptor);
        CHECK(is_readable(descriptor));
        CHECK(held.queue.try_get().value() == message);
    }
    CHECK_FALSE(is_readable(descriptor));
    CHECK(held.queue.try_get().timed_out());
    held.queue.stop();
    CHECK(is_readable(descriptor)); // the end is something to get
    CHECK(held.queue.try_get().ended());
    CHECK(is_readable(descriptor));
}

TEST_CASE("A descriptor that is asked for late knows what is there, also what join has set aside") {
    const bounded_test bounds;
    queue_of_numbers queue(1, itself);
    REQUIRE(queue.put(0));
    queue.join();
    const int descriptor = queue.readable_descriptor();
    CHECK(is_readable(descriptor));
    CHECK(queue.try_get().value() == 0);
    CHECK_FALSE(is_readable(descriptor));
}

TEST_CASE("An event loop that sleeps on the descriptor gets everything") {
    const bounded_test bounds;
    const auto messages = static_cast<number>(forkflow_test::scaled_down(3'000));
    queue_of_numbers queue(pool_options{.workers = 2, .window = 4, .requests = 4}, itself);
    const int descriptor = queue.readable_descriptor();
    std::thread producer([&] {
        for (number message = 0; message < messages; ++message) {
            queue.put(message);
        }
        queue.stop();
    });
    number next = 0;
    for (bool ended = false; !ended;) {
        wait_until_readable(descriptor);
        auto outcome = queue.try_get();
        REQUIRE_FALSE(outcome.timed_out()); // nobody else gets
        ended = outcome.ended();
        if (outcome) {
            REQUIRE(*outcome == next++);
        }
    }
    CHECK(next == messages);
    producer.join();
}

TEST_CASE("The statistics of a queue add up") {
    const bounded_test bounds;
    held_queue held({.workers = 2, .window = 8, .requests = 5});
    for (number message = 0; message < 5; ++message) {
        REQUIRE(held.queue.put(message));
    }
    CHECK(comes_true_within(60s, [&] { return held.queue.statistics().running == 2; }));
    const forkflow::statistics before = held.queue.statistics();
    CHECK(before.received == 5);
    CHECK(before.waiting == 3);
    CHECK(before.in_flight == 5);
    CHECK(before.queued == 0);
    CHECK(before.workers == 2);
    CHECK(before.window == 8);
    CHECK(before.requests == 5);
    held.release();
    CHECK(held.queue.get().value() == 0);
    CHECK(held.queue.statistics().results == 1);
    CHECK(held.queue.statistics().emitted == 1);
}

TEST_CASE("A queue is destroyed without having been stopped, whatever is inside") {
    const bounded_test bounds;
    for (const bool joined : {false, true}) {
        const shared_flags never(1);
        queue_of_numbers queue(pool_options{.workers = 2, .window = 2, .requests = 4}, [&](number message) {
            if (message > 1) {
                never.wait_for(0);
            }
            return message;
        });
        (void)queue.readable_descriptor();
        for (number message = 0; message < 4; ++message) {
            REQUIRE(queue.put(message));
        }
        if (joined) {
            CHECK_FALSE(queue.join(1ms));
        }
    }
}

TEST_CASE("Options out of their range are refused by the queue as by the node") {
    const bounded_test bounds;
    CHECK_THROWS_AS(queue_of_numbers(pool_options{.workers = 5'000}, itself), std::invalid_argument);
    CHECK_THROWS_AS(queue_of_numbers(std::size_t{5'000}, itself), std::invalid_argument);
}

TEST_CASE("A get that throws makes room for who sleeps in put") {
    const bounded_test bounds;
    using forkflow_test::brittle_marker;
    using item = std::variant<number, brittle_marker>;
    forkflow::ordered_process_queue<item, item> queue({.workers = 1, .window = 1, .requests = 1}, itself);
    REQUIRE(queue.put(brittle_marker()));
    REQUIRE(queue.put(number{1}));
    REQUIRE(queue.join(60s)); // what was set aside fills the bound
    std::atomic<::pid_t> putter{0};
    bool put = false;
    std::thread thread([&] {
        putter = ::gettid();
        put = queue.put(number{2});
    });
    // Asleep for longer than a thread waits before it asks for a ring that comes soon.
    const auto has_slept_twice = [&] {
        const std::string status = "/proc/self/task/" + std::to_string(putter.load()) + "/status";
        return putter.load() != 0 && forkflow_test::field_of(status, "voluntary_ctxt_switches:") >= 2 &&
               forkflow_test::is_asleep(putter.load());
    };
    const bool slept = comes_true_within(30s, has_slept_twice);
    brittle_marker::next_move_throws = true;
    CHECK_THROWS_AS(queue.get(60s), std::runtime_error);
    CHECK(std::get<number>(queue.get(60s).value()) == 1);
    const auto last = queue.get(60s);
    queue.stop();
    thread.join();
    CHECK(slept);
    CHECK(put);
    REQUIRE(last);
    CHECK(std::get<number>(*last) == 2);
}

} // namespace queue_waiting_test
