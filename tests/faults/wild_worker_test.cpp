// SPDX-License-Identifier: MIT
// A worker that writes over all that it can reach costs failures: the parent neither crashes nor hangs, each
// message has one outcome in its place, each is the right one or a failure, and the pool recovers.
#include "support/engine_scenarios.hpp"
#include "support/wild_worker.hpp"

#include <array>
#include <cstdlib>

namespace wild_worker_test {

using namespace forkflow_test;

namespace {

/// What the wild body does after it has written.
enum class ending { returns, crashes, exits, lingers, goes_on };

struct wildness {
    wild_part part;
    wild_bytes bytes;
    ending end;
    unsigned seed;
    std::size_t workers = 3;
    std::size_t window = 8;
    bool recycles = false;
    bool bounds_bytes = false; ///< results are large, and one of them is nearly all that is allowed
    bool verifies = true;
};

constexpr sequence wild_messages = 60;
constexpr std::size_t pages_allowed = 4;
constexpr std::size_t pages_of_a_result = 3;

void go_wild(const wildness& how, const wild_map& map, std::uint32_t time) {
    std::mt19937_64 random(std::uint64_t{how.seed} * 1'000'003 + time);
    const writable_rings rings = find_writable_rings();
    const auto write = [&] {
        scribble(map.part(rings, how.part), how.bytes, random);
        if (how.part == wild_part::all) {
            scribble(rings.own, how.bytes, random);
        }
    };
    write();
    switch (how.end) {
    case ending::returns:
        return;
    case ending::crashes:
        std::abort();
    case ending::exits:
        ::_exit(0);
    case ending::lingers:
        process_world::linger();
    case ending::goes_on:
        for (;;) {
            write();
            ::sched_yield();
        }
    }
}

bool ends_by_deadline(ending end) {
    return end == ending::lingers || end == ending::goes_on;
}

/// Of what waits, only the next one to leave may exceed the bound; and when all has left, nothing is held or
/// counted.
void check_bytes(engine<process_world>& tested) {
    tested.put_many(6);
    for (int i = 0; i < 6; ++i) {
        REQUIRE(eventually([&] { return tested.statistics().finished > 0; }));
        CHECK(tested.held_pages() <= pages_allowed + pages_of_a_result);
        CHECK(faults(tested.collect(1)).empty());
    }
    CHECK(tested.held_pages() == 0);
    CHECK(tested.pool().has_room());
}

/// A wild body, if it returns, returns what it should: so no result is wrong that is verified.
void check_wild(const std::vector<seen_outcome>& outcomes, const wildness& how) {
    for (const seen_outcome& outcome : outcomes) {
        CAPTURE(outcome.index, outcome.fault, outcome.failure.what);
        CHECK(outcome.fault.find("left in place of") == std::string::npos);
        CHECK((!how.verifies || outcome.fault.empty()));
        CHECK((!outcome.failed || outcome.failure.kind != failure_kind::pool_failed));
    }
}

/// Every eleventh of the first messages goes wild, in some of its attempts; later ones are harmless.
void wild_workers_cost_failures(const wildness& how) {
    CAPTURE(static_cast<int>(how.part), static_cast<int>(how.bytes), static_cast<int>(how.end), how.seed,
            how.workers, how.window, how.recycles, how.bounds_bytes, how.verifies);
    const engine_watchdog watchdog("a wild worker");
    pool_options options = watched_pool(how.workers, how.window, 8);
    options.deadline = std::chrono::milliseconds(ends_by_deadline(how.end) ? 100 : 0);
    options.recycle_after = how.recycles ? 7 : 0;
    options.verify_results = how.verifies;
    options.testing.first_sequence = sequence{0} - wild_messages / 2;
    if (how.bounds_bytes) {
        options.max_message_bytes = options.window_bytes = pages_allowed * forkflow::nodes::page_bytes;
    }
    const std::size_t longer = how.bounds_bytes ? (pages_of_a_result - 1) * forkflow::nodes::page_bytes : 0;
    const wild_map map(options);
    shared_value<std::atomic<std::uint32_t>> times;
    const inner_body body = [&](std::uint64_t index) {
        if (index < wild_messages && index % 11 == 5) {
            go_wild(how, map, times->fetch_add(1));
        }
    };
    engine<process_world> tested(options, {}, checking_body(body, longer), [](auto&) {});
    tested.longer_results = longer;
    const auto stream = [&](std::size_t count, bool markers) {
        std::thread producer([&] {
            for (std::size_t i = 0; i < count; ++i) {
                if (markers && i % 5 == 3) {
                    tested.put_marker();
                } else {
                    tested.put();
                }
            }
        });
        const auto outcomes = tested.collect(count);
        producer.join();
        return outcomes;
    };
    const auto during = stream(wild_messages, true);
    check_wild(during, how);
    for (const seen_outcome& outcome : during) {
        CHECK((outcome.index % 5 == 3) == (outcome.state == message_state::marker));
    }
    // What was written beyond the newest comes to light.
    check_wild(stream(2 * tested.pool().capacity(), false), how);
    const auto calm = stream(20, false);
    CHECK(faults(calm).empty());
    CHECK(std::none_of(calm.begin(), calm.end(), [](const seen_outcome& one) { return one.failed; }));
    CHECK(tested.statistics().in_flight == 0);
    if (how.bounds_bytes) { // the bound on bytes is what it was
        check_bytes(tested);
    }
}

} // namespace

TEST_CASE("A worker that writes over one part of the rings and returns or dies costs failures") {
    for (int part = 0; part < wild_parts; ++part) {
        for (const wild_bytes bytes : {wild_bytes::ones, wild_bytes::zeros, wild_bytes::random}) {
            const auto end = static_cast<ending>((part + static_cast<int>(bytes)) % 3);
            wild_workers_cost_failures({static_cast<wild_part>(part), bytes, end, 1});
        }
    }
}

TEST_CASE("Without verified results, a worker that goes wild costs no more than what its own are") {
    for (const wild_part part : {wild_part::results, wild_part::places, wild_part::states, wild_part::all}) {
        for (const wild_bytes bytes : {wild_bytes::ones, wild_bytes::random}) {
            wild_workers_cost_failures(
                {.part = part, .bytes = bytes, .end = ending::returns, .seed = 1, .verifies = false});
        }
    }
}

TEST_CASE("A worker that writes over results until its deadline passes makes none of them wrong") {
    for (unsigned seed = 1; seed <= 2; ++seed) {
        wild_workers_cost_failures({wild_part::results, wild_bytes::random, ending::goes_on, seed});
        wild_workers_cost_failures({wild_part::all, wild_bytes::some_words, ending::goes_on, seed});
    }
}

TEST_CASE("A worker that changes single words and bits costs failures") {
    for (unsigned seed = 1; seed <= 6; ++seed) {
        const auto end = static_cast<ending>(seed % 3);
        wild_workers_cost_failures({wild_part::all, wild_bytes::some_words, end, seed});
        wild_workers_cost_failures({wild_part::states, wild_bytes::bit_flips, end, seed, 3, 1});
        wild_workers_cost_failures({wild_part::seats, wild_bytes::bit_flips, end, seed, 1, 8, true});
    }
}

TEST_CASE("A worker that forges states costs failures") {
    for (unsigned seed = 1; seed <= 4; ++seed) {
        const auto end = static_cast<ending>(seed % 3);
        wild_workers_cost_failures({wild_part::states, wild_bytes::forged_states, end, seed, 2});
    }
}

TEST_CASE("A worker that writes until its deadline passes is ended all the same") {
    wild_workers_cost_failures({wild_part::all, wild_bytes::ones, ending::lingers, 1});
    wild_workers_cost_failures({wild_part::seats, wild_bytes::random, ending::lingers, 2});
    wild_workers_cost_failures({wild_part::seats, wild_bytes::random, ending::goes_on, 3});
}

TEST_CASE("With a bound on bytes, a wild worker costs failures, and the bound holds again after a lap") {
    for (const wild_part part : {wild_part::held, wild_part::blocked, wild_part::seats, wild_part::results,
                                 wild_part::states, wild_part::all}) {
        for (const wild_bytes bytes : {wild_bytes::ones, wild_bytes::zeros, wild_bytes::random}) {
            const auto end = static_cast<ending>((static_cast<int>(part) + static_cast<int>(bytes)) % 3);
            wild_workers_cost_failures(
                {.part = part, .bytes = bytes, .end = end, .seed = 1, .bounds_bytes = true});
        }
    }
    for (unsigned seed = 1; seed <= 3; ++seed) {
        wild_workers_cost_failures({.part = wild_part::held,
                                    .bytes = wild_bytes::bit_flips,
                                    .end = ending::goes_on,
                                    .seed = seed,
                                    .bounds_bytes = true});
    }
}

} // namespace wild_worker_test
