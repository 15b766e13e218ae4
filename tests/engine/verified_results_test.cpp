// SPDX-License-Identifier: MIT
// Results that the parent verifies: what somebody else has written over is a failure that says so, and what a
// worker has handed in arrives as it was.
#include "support/engine_death_scenarios.hpp"
#include "support/wild_worker.hpp"

#include <forkflow/nodes/result_check.hpp>
#include <forkflow/nodes/verified_copy.hpp>

using namespace forkflow_test;
using namespace forkflow::nodes;
using world = process_world;

namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = pattern_byte(size, i);
    }
    return bytes;
}

constexpr std::uint64_t messages = 12;

/// A pool in which message 3, as soon as all others have handed in, writes `change` over what shall be
/// theirs.
template <class Change>
std::vector<seen_outcome> outcomes_after(Change change, const inner_body& inside = {}) {
    pool_options options = small_pool(2, 16, 16);
    options.verify_results = true;
    const open_memory_map map(options);
    shared_value<std::atomic<std::uint64_t>> handed_in;
    const auto hook = [&](const passage& now) {
        if (now.here == step::notified) {
            handed_in->fetch_add(1);
            handed_in->notify_all();
        }
    };
    engine<world> tested(options, hook, [&](std::uint64_t index) {
        if (index == 3) {
            while (handed_in->load() < messages - 1) {
                ::sched_yield();
            }
            change(map);
        } else if (inside) {
            inside(index);
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, messages, outcomes);
    return outcomes;
}

} // namespace

TEST_CASE("The checksum tells any change of a byte, of the length, of the kind and of the message") {
    for (const std::size_t size : {0U, 1U, 7U, 8U, 31U, 32U, 33U, 240U, 1000U}) {
        std::vector<std::byte> bytes = some_bytes(size);
        const std::uint64_t check = result_check(5, result_kind::value, bytes);
        CAPTURE(size);
        CHECK(result_check(5, result_kind::value, some_bytes(size)) == check);
        CHECK(result_check(6, result_kind::value, bytes) != check);
        CHECK(result_check(5, result_kind::failure, bytes) != check);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] ^= std::byte{0x10};
            CHECK(result_check(5, result_kind::value, bytes) != check);
            bytes[i] ^= std::byte{0x10};
        }
        bytes.push_back(std::byte{0});
        CHECK(result_check(5, result_kind::value, bytes) != check);
    }
}

TEST_CASE("The checksum of fresh memory is that of no result") {
    CHECK(result_check(0, result_kind::value, {}) != 0);
}

TEST_CASE("The checksum tells whether equal words have changed places") {
    std::vector<std::byte> bytes(64);
    bytes[0] = std::byte{1};
    const std::uint64_t first = result_check(0, result_kind::value, bytes);
    for (std::size_t place = 8; place < bytes.size(); place += 8) {
        std::vector<std::byte> moved(64);
        moved[place] = std::byte{1};
        CHECK(result_check(0, result_kind::value, moved) != first);
    }
}

TEST_CASE("A verified result is looked at in a copy that nobody else can change") {
    verified_copy copy;
    for (const std::size_t size : {0U, 1U, 240U, 100'000U, 5U}) {
        std::vector<std::byte> shared = some_bytes(size);
        waiting_outcome outcome{.number = 8,
                                .state = message_state::published,
                                .attempts = 1,
                                .payload = shared,
                                .kind = result_kind::value,
                                .sound = true};
        copy.take(outcome, result_check(8, result_kind::value, shared));
        std::fill(shared.begin(), shared.end(), std::byte{0xEE});
        CHECK((outcome.sound && outcome.intact && outcome.in_memory));
        CHECK(std::ranges::equal(outcome.payload, some_bytes(size)));
        CHECK(reinterpret_cast<std::uintptr_t>(outcome.payload.data()) % payload_alignment == 0);
    }
}

TEST_CASE("Verified results leave whole and in arrival order") {
    for (const std::size_t bytes : {std::size_t{0}, 3 * page_bytes}) {
        for (const std::size_t workers : {1U, 3U}) {
            a_stream_arrives_whole_and_in_order<world>({workers, 8, 8, 3, 500, 0U - 90, bytes, true});
        }
    }
}

TEST_CASE("A worker killed at any step costs an attempt, and no verified result") {
    for (const step here : steps_of_a_message_or_a_life) {
        for (const std::size_t workers : {1U, 3U}) {
            one_death_costs_nothing_but_an_attempt<world>(here, moment::middle, workers, 2, true);
        }
    }
}

TEST_CASE("Results that another worker writes over are failures that say so") {
    const auto outcomes = outcomes_after([](const open_memory_map& map) {
        std::mt19937_64 random(1);
        const auto slots = map.part(writable_rings(), wild_part::results);
        for (std::size_t at = 0; at < slots.size(); at += slot_bytes) { // all payloads; headers stay
            scribble(slots.subspan(at + sizeof(slot_header), inline_bytes), wild_bytes::random, random);
        }
    });
    CHECK(faults(outcomes).empty());
    std::size_t overwritten = 0;
    for (const seen_outcome& outcome : outcomes) {
        CAPTURE(outcome.index, outcome.failure.what);
        CHECK((!outcome.failed || (outcome.failure.kind == failure_kind::not_decodable &&
                                   outcome.failure.what.find("overwritten") != std::string::npos)));
        overwritten += outcome.failed ? 1 : 0;
    }
    CHECK(overwritten > 0);
    CHECK_FALSE(outcomes[3].failed); // its body wrote its own after that
}

TEST_CASE("A record of a failure that another worker writes over is a failure that says so") {
    const auto outcomes = outcomes_after(
        [](const open_memory_map& map) {
            const auto slots = map.part(writable_rings(), wild_part::results);
            for (std::size_t at = 0; at < slots.size(); at += slot_bytes) {
                slots[at + sizeof(slot_header)] = std::byte{1}; // another kind of failure
            }
        },
        [](std::uint64_t) { throw std::runtime_error("short"); });
    for (const seen_outcome& outcome : outcomes) {
        CAPTURE(outcome.index, outcome.failure.what);
        if (outcome.index > 3) {
            CHECK(outcome.failed);
            CHECK((outcome.failure.what == "short" ||
                   outcome.failure.what.find("overwritten") != std::string::npos));
        }
    }
}

TEST_CASE("What a body throws arrives whole where results are verified, also if it is long") {
    pool_options options = small_pool(2, 8, 8);
    options.verify_results = true;
    options.window_bytes = page_bytes;
    engine<world> tested(options, {}, [](std::uint64_t index) {
        throw std::runtime_error(std::string(index * 1000, static_cast<char>('a' + index)));
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 12, outcomes);
    for (const seen_outcome& outcome : outcomes) {
        CHECK(outcome.failure.kind == failure_kind::threw);
        CHECK(outcome.failure.what ==
              std::string(outcome.index * 1000, static_cast<char>('a' + outcome.index)));
    }
}

TEST_CASE("A result passes for that of no other message") {
    const auto outcomes = outcomes_after([](const open_memory_map& map) {
        const auto slots = map.part(writable_rings(), wild_part::results);
        for (std::size_t slot = 4; slot < messages; ++slot) { // each says what message 1 has said
            std::copy_n(slots.begin() + slot_bytes + sizeof(slot_header), inline_bytes,
                        slots.begin() + static_cast<std::ptrdiff_t>(slot * slot_bytes + sizeof(slot_header)));
        }
    });
    CHECK(faults(outcomes).empty());
}
