// SPDX-License-Identifier: MIT
// What must hold if the window is bounded by bytes as well, whatever the workers are made of.
#pragma once

#include "engine_death_scenarios.hpp"

#include <cstring>

namespace forkflow_test {

using forkflow::nodes::page_bytes;

/// A pool whose requests say how many bytes their results shall have; result and rest of the request are one
/// byte over and over.
template <class World>
class sized_messages {
public:
    sized_messages(pool_options options, passage_hook hook, std::function<void()> inside = {})
        : tested(std::move(options), std::move(hook), body(std::move(inside)), [](auto&) {}) {}

    /// Waits for room.
    void put(std::size_t request_bytes, std::size_t result_bytes) {
        fill(tested.reserve(), request_bytes, result_bytes);
    }
    /// Fills the request with this index, which is reserved.
    void fill(std::uint64_t index, std::size_t request_bytes, std::size_t result_bytes) {
        const sequence reserved = tested.number_of(index);
        forkflow::nodes::byte_writer to = tested.pool().writer(reserved);
        to.write_value(std::uint64_t{result_bytes});
        const std::vector<char> rest(request_bytes - std::min(request_bytes, sizeof(std::uint64_t)));
        to.write(rest.data(), rest.size());
        tested.pool().commit_request(reserved, to);
    }
    /// Takes the next outcomes. Returns how many of them are results of another size than `result_bytes`.
    std::size_t collect(std::size_t count, std::size_t result_bytes) {
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < count; ++i) {
            wait_for_next();
            const std::scoped_lock collecting(tested.pool().collecting());
            const auto next = tested.pool().peek();
            REQUIRE(next);
            const bool right = !tested.pool().is_failure(*next) && next->payload.size() == result_bytes &&
                               std::all_of(next->payload.begin(), next->payload.end(),
                                           [](std::byte each) { return each == std::byte{7}; });
            wrong += right ? 0U : 1U;
            if (tested.pool().is_failure(*next)) {
                last_failure = tested.pool().take_failure(*next);
            }
            tested.pool().release(forkflow::nodes::pool::fate::result);
            [[maybe_unused]] const bool resting = tested.pool().rest();
        }
        return wrong;
    }
    void wait_for_next() {
        REQUIRE(eventually([&] {
            const std::scoped_lock collecting(tested.pool().collecting());
            return tested.pool().peek().has_value();
        }));
    }

    engine<World> tested;
    forkflow::failure last_failure;

private:
    static forkflow::nodes::worker_body body(std::function<void()> inside) {
        return [inside = std::move(inside)](forkflow::nodes::worker_call& call) {
            const auto size = call.request.read_value<std::uint64_t>();
            if (inside) {
                inside();
            }
            call.stage = forkflow::nodes::body_stage::encoding;
            const std::vector<std::byte> result(size, std::byte{7});
            call.result.write(result.data(), result.size());
        };
    }
};

template <class World>
void a_full_byte_budget_is_room_for_nobody_until_an_outcome_is_released() {
    const engine_watchdog watchdog("requests and bytes");
    pool_options options = small_pool(2, 16, 16);
    options.max_message_bytes = 64 << 10U;
    options.window_bytes = 100'000;
    sized_messages<World> stream(options, {});
    for (int i = 0; i < 3; ++i) {
        CHECK(stream.tested.pool().has_room());
        stream.put(40'000, 10); // the third exceeds the bound
    }
    CHECK_FALSE(stream.tested.pool().has_room());
    CHECK_FALSE(stream.tested.pool().try_reserve(message_kind::request));
    const auto marker = stream.tested.pool().try_reserve(message_kind::marker); // has no bytes
    REQUIRE(marker);
    stream.tested.pool().commit_marker(*marker);
    CHECK(stream.collect(1, 10) == 0);
    CHECK(stream.tested.pool().has_room());
    CHECK(stream.collect(2, 10) == 0);
    CHECK(stream.collect(1, 0) == 0); // the marker
}

/// Who waits for room hears of it, whether an outcome is taken or a message turns out to be small.
template <class World>
void who_waits_for_bytes_hears_of_them() {
    const engine_watchdog watchdog("waiting for bytes");
    pool_options options = small_pool(2, 16, 16);
    options.max_message_bytes = 64 << 10U;
    options.window_bytes = options.max_message_bytes; // so that nobody else comes in while one encodes
    sized_messages<World> stream(options, {});
    const std::uint64_t encoding = stream.tested.reserve();
    CHECK_FALSE(stream.tested.pool().has_room());
    std::thread second([&] { stream.put(100, 10); });
    REQUIRE(eventually(
        [&] { return rings_of(rings_key(), stream.tested.pool()).bell().room_countdown.load() > 0; }));
    stream.fill(encoding, 100, 10); // far smaller than it might have been
    second.join();
    CHECK(stream.collect(2, 10) == 0);

    constexpr std::size_t count = 200;
    std::thread producer([&] {
        for (std::size_t i = 0; i < count; ++i) {
            stream.put(40'000, 30'000);
        }
    });
    const auto outcomes = stream.tested.collect(count); // all alike, so each has the same "fault"
    producer.join();
    CHECK(std::none_of(outcomes.begin(), outcomes.end(), [](const seen_outcome& one) { return one.failed; }));
}

/// However many workers are ready with large results, they take no more than the bound, but for the next one
/// to leave; and all get on.
template <class World>
void results_take_no_more_bytes_than_the_bound() {
    const engine_watchdog watchdog("results and bytes");
    pool_options options = small_pool(4, 16, 16);
    options.max_message_bytes = 64 << 10U;
    options.window_bytes = 10 * page_bytes;
    sized_messages<World> stream(options, {});
    for (int i = 0; i < 12; ++i) {
        stream.put(100, 3 * page_bytes);
    }
    for (int i = 0; i < 12; ++i) {
        stream.wait_for_next();
        CHECK(stream.tested.held_pages() <= 10 + 3);
        CHECK(stream.collect(1, 3 * page_bytes) == 0);
    }
    CHECK(stream.tested.held_pages() == 0);
    for (int i = 0; i < 8; ++i) { // each of them is as large as all may be together
        stream.put(100, 10 * page_bytes);
    }
    for (int i = 0; i < 8; ++i) {
        stream.wait_for_next();
        CHECK(stream.tested.held_pages() <= 10 + 10);
        CHECK(stream.collect(1, 10 * page_bytes) == 0);
    }
}

/// The steps of a worker with bytes, but for waiting: each message passes them once.
inline constexpr std::array steps_with_bytes = {step::room_made, step::written};

/// A worker dies with pages that it holds, or is waiting for (then there must be several, of which others
/// have them).
template <class World>
void a_death_with_bytes_costs_an_attempt_and_no_bytes(step here, moment when, std::size_t workers,
                                                      unsigned attempts) {
    CAPTURE(static_cast<int>(here), static_cast<int>(when), workers, attempts);
    constexpr std::uint32_t rounds = 6;
    constexpr std::uint32_t each = 8;
    constexpr auto of = [](moment which, std::uint32_t count) {
        return which == moment::first ? 0 : which == moment::middle ? count / 2 : count - 1;
    };
    const bool waits = here == step::awaiting_admission; // how often it is passed nobody can tell
    const engine_watchdog watchdog("a death of a worker with bytes");
    pool_options options = small_pool(workers, each, each);
    options.max_message_bytes = 64 << 10U;
    options.window_bytes = 4 * page_bytes;
    options.attempts = attempts;
    const shared_value<std::atomic<bool>> armed(!waits);
    sized_messages<World> stream(
        options, [&armed, here, waits, place = of(when, rounds * each)](const passage& now) {
            if (now.here == here && (waits || now.count == place) && armed->exchange(false)) {
                World::die();
            }
        });
    std::size_t wrong = 0;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        const std::uint32_t waited = stream.tested.world().passages(step::awaiting_admission);
        armed->store(armed->load() || (waits && round == of(when, rounds)));
        for (std::uint32_t k = 0; k < each; ++k) {
            stream.put(100, 3 * page_bytes);
        }
        if (workers > 1) { // the first is through, and the others wait for its bytes
            REQUIRE(eventually(
                [&] { return stream.tested.world().passages(step::awaiting_admission) > waited; }));
        }
        wrong += stream.collect(each, 3 * page_bytes);
    }
    REQUIRE(stream.tested.deaths_become(1));
    CHECK(wrong == (attempts == 1 ? 1 : 0));
    CHECK(stream.tested.held_pages() == 0); // what it held was given back
    CHECK(stream.tested.pool().has_room());
}

/// At each step with bytes, first, in the middle and last, with and without others who hold some.
template <class World>
void deaths_with_bytes_cost_attempts_and_no_bytes() {
    for (const moment when : {moment::first, moment::middle, moment::last}) {
        for (const unsigned attempts : {1U, 2U}) {
            for (const step here : steps_with_bytes) {
                a_death_with_bytes_costs_an_attempt_and_no_bytes<World>(here, when, 1, attempts);
                a_death_with_bytes_costs_an_attempt_and_no_bytes<World>(here, when, 3, attempts);
            }
            a_death_with_bytes_costs_an_attempt_and_no_bytes<World>(step::awaiting_admission, when, 3,
                                                                    attempts);
        }
    }
}

} // namespace forkflow_test
