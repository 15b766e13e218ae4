// SPDX-License-Identifier: MIT
// What goes into a queue comes out in the same order, whatever it takes to run, and whoever puts and gets.
#include "support/brittle_marker.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace queue_order_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::brittle_marker;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;

number itself(number message) {
    return message;
}

/// Everything that is still to come.
template <class Input, class Output>
std::vector<Output> rest_of(forkflow::ordered_process_queue<Input, Output>& queue) {
    std::vector<Output> all;
    for (Output& outcome : queue) {
        all.push_back(std::move(outcome));
    }
    return all;
}

std::vector<number> first_numbers(number count) {
    std::vector<number> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0U);
    return numbers;
}

/// Can be moved, and not assigned.
struct sealed_number {
    const number value;
};

} // namespace

} // namespace queue_order_test

template <>
struct forkflow::codec<queue_order_test::sealed_number> {
    static void encode(const queue_order_test::sealed_number& message, writer& to) {
        to.write_value(message.value);
    }
    static queue_order_test::sealed_number decode(reader& from) {
        return {.value = from.read_value<queue_order_test::number>()};
    }
};

namespace queue_order_test {

TEST_CASE("The types of a queue follow from its body") {
    const bounded_test bounds;
    forkflow::ordered_process_queue queue(2, [](const std::string& text) { return text.size(); });
    static_assert(std::is_same_v<decltype(queue), forkflow::ordered_process_queue<std::string, std::size_t>>);
    static_assert(std::input_iterator<decltype(queue.begin())>);
    REQUIRE(queue.put("four"));
    CHECK(queue.get().value() == 4);
    forkflow::ordered_process_queue by_function(pool_options{.workers = 1}, itself);
    static_assert(std::is_same_v<decltype(by_function), forkflow::ordered_process_queue<number, number>>);
    REQUIRE(by_function.put(7U, 60s));
    CHECK(by_function.get(60s).value() == 7);
}

TEST_CASE("Messages leave in arrival order whatever the order in which their bodies end") {
    const bounded_test bounds;
    constexpr std::size_t messages = 4;
    const shared_flags may_end(messages);
    forkflow::ordered_process_queue queue(messages, [&](number message) {
        may_end.wait_for(message);
        return message;
    });
    std::vector<number> order = first_numbers(messages);
    do {
        for (number message = 0; message < messages; ++message) {
            may_end.set(message, 0);
        }
        for (number message = 0; message < messages; ++message) {
            REQUIRE(queue.put(message));
        }
        for (const number message : order) {
            may_end.set(message);
        }
        for (number message = 0; message < messages; ++message) {
            REQUIRE(queue.get().value() == message);
        }
    } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("Outcomes that cannot be assigned are got, set aside and iterated over like others") {
    const bounded_test bounds;
    static_assert(!std::is_move_assignable_v<sealed_number>);
    forkflow::ordered_process_queue queue(pool_options{.workers = 2, .window = 2},
                                          [](number message) { return sealed_number{message}; });
    for (number message = 0; message < 4; ++message) {
        REQUIRE(queue.put(message, 60s));
    }
    REQUIRE(queue.join(60s));
    queue.stop();
    CHECK(queue.get().value().value == 0);
    CHECK(queue.get(60s)->value == 1);
    number next = 2;
    for (const sealed_number& outcome : queue) {
        CHECK(outcome.value == next++);
    }
    CHECK(next == 4);
}

TEST_CASE("Sequences that wrap keep the order") {
    const bounded_test bounds;
    for (const forkflow::nodes::sequence first : {0U - 1, 0U - 150, 0x80000000U - 150}) {
        pool_options options{.workers = 3};
        options.testing.first_sequence = first;
        forkflow::ordered_process_queue queue(options, itself);
        std::thread producer([&] {
            for (number message = 0; message < 300; ++message) {
                queue.put(message);
            }
            queue.stop();
        });
        CHECK(rest_of(queue) == first_numbers(300));
        producer.join();
    }
}

TEST_CASE("A marker whose move throws is a failure in its place, and holds up nobody") {
    const bounded_test bounds;
    using item = std::variant<number, brittle_marker>;
    using outcome = std::variant<number, brittle_marker, failure>;
    forkflow::ordered_process_queue<item, outcome> queue(1, itself);
    REQUIRE(queue.put(number{0}));
    REQUIRE(queue.put(brittle_marker()));
    REQUIRE(queue.put(number{2}));
    queue.stop();
    CHECK(std::get<number>(queue.get(60s).value()) == 0);
    brittle_marker::next_move_throws = true;
    CHECK(forkflow_test::is_of_brittle_marker(std::get<failure>(queue.get(60s).value()), 1));
    CHECK(std::get<number>(queue.get(60s).value()) == 2);
    CHECK(queue.get(60s).ended());
    CHECK(queue.statistics().failures == 1);
    CHECK(queue.statistics().markers == 0);
}

TEST_CASE("An outcome that was set aside and throws when it is got is gone, and the next get goes on") {
    const bounded_test bounds;
    using item = std::variant<number, brittle_marker>;
    forkflow::ordered_process_queue<item, item> queue(1, itself);
    REQUIRE(queue.put(number{0}));
    REQUIRE(queue.put(brittle_marker()));
    REQUIRE(queue.put(number{2}));
    REQUIRE(queue.join(60s));
    queue.stop();
    CHECK(std::get<number>(queue.get(60s).value()) == 0);
    brittle_marker::next_move_throws = true;
    CHECK_THROWS_AS(queue.get(60s), std::runtime_error);
    CHECK(std::get<number>(queue.get(60s).value()) == 2);
    CHECK(queue.get(60s).ended());
}

TEST_CASE("Markers keep their place among messages") {
    const bounded_test bounds;
    struct batch_done {
        number count;
        std::shared_ptr<int> owner; // never leaves this process
    };
    using item = std::variant<number, batch_done>;
    forkflow::ordered_process_queue<item, item> queue(2, [](number message) { return message + 1; });
    const auto owner = std::make_shared<int>(1);
    for (number batch = 0; batch < 3; ++batch) {
        REQUIRE(queue.put(batch));
        REQUIRE(queue.put(batch_done{batch, owner}));
    }
    queue.stop();
    const std::vector<item> all = rest_of(queue);
    REQUIRE(all.size() == 6);
    for (number batch = 0; batch < 3; ++batch) {
        CHECK(std::get<number>(all[2 * batch]) == batch + 1);
        CHECK(std::get<batch_done>(all[2 * batch + 1]).count == batch);
        CHECK(std::get<batch_done>(all[2 * batch + 1]).owner == owner);
    }
}

TEST_CASE("Many threads put and get at once: each message comes out once, and each putter's in order") {
    const bounded_test bounds;
    constexpr number putters = 4;
    constexpr std::size_t getters = 3;
    const auto each = static_cast<number>(forkflow_test::scaled_down(1'000));
    for (pool_options options :
         {pool_options{.workers = 2}, pool_options{.workers = 1, .window = 1, .requests = 1},
          pool_options{.workers = 2, .window = 64, .requests = 3},
          pool_options{.workers = 2, .window = 3, .requests = 64}}) {
        options.testing.looks = false; // a wake that is lost stops the test
        forkflow::ordered_process_queue queue(options, itself);
        std::vector<std::vector<number>> got(getters);
        std::vector<std::thread> getting;
        for (auto& mine : got) {
            getting.emplace_back([&] { mine = rest_of(queue); });
        }
        std::vector<std::thread> putting;
        for (number putter = 0; putter < putters; ++putter) {
            putting.emplace_back([&, putter] {
                for (number i = 0; i < each; ++i) {
                    queue.put(putter * each + i);
                }
            });
        }
        for (std::thread& one : putting) {
            one.join();
        }
        queue.stop();
        for (std::thread& one : getting) {
            one.join();
        }
        std::vector<number> all;
        for (const std::vector<number>& mine : got) { // each getter sees each putter's messages in order
            std::vector<number> newest(putters, 0);
            for (const number value : mine) {
                REQUIRE(value % each >= newest.at(value / each));
                newest[value / each] = value % each;
            }
            all.insert(all.end(), mine.begin(), mine.end());
        }
        std::ranges::sort(all);
        CHECK(all == first_numbers(putters * each));
    }
}

TEST_CASE("A failure comes in its message's place if Output can hold it") {
    const bounded_test bounds;
    using outcome = std::variant<number, failure>;
    forkflow::ordered_process_queue<number, outcome> queue(2, [](number message) {
        if (message == 1) {
            throw std::runtime_error("one is none");
        }
        return message;
    });
    for (number message = 0; message < 3; ++message) {
        REQUIRE(queue.put(message));
    }
    CHECK(std::get<number>(*queue.get()) == 0);
    CHECK(std::get<failure>(*queue.get()).what == "one is none");
    CHECK(std::get<number>(*queue.get()) == 2);
}

TEST_CASE("A failure that Output cannot hold is thrown by get, and the next get goes on") {
    const bounded_test bounds;
    forkflow::ordered_process_queue queue(2, [](number message) -> number {
        if (message == 1) {
            throw std::runtime_error("one is none");
        }
        return message;
    });
    for (number message = 0; message < 3; ++message) {
        REQUIRE(queue.put(message));
    }
    CHECK(queue.get().value() == 0);
    try {
        (void)queue.get();
        FAIL("nothing was thrown");
    } catch (const forkflow::process_error& thrown) {
        CHECK(thrown.details().kind == failure_kind::threw);
        CHECK(thrown.details().sequence == 1);
        CHECK(thrown.details().what == "one is none");
        CHECK_FALSE(thrown.details().stack_trace.empty());
        CHECK(std::string(thrown.what()).find("stack in the worker") != std::string::npos);
    }
    CHECK(queue.get().value() == 2);
    queue.stop();
    CHECK(queue.get().ended());
}

} // namespace queue_order_test
