// SPDX-License-Identifier: MIT
// Results belong to the worker that has handed them in: no other can write over them; and where the parent
// verifies them, what it has itself written over is a failure that says so.
#include "support/engine_death_scenarios.hpp"
#include "support/wild_worker.hpp"

namespace verified_results_test {

using namespace forkflow_test;
using namespace forkflow::nodes;
using world = process_world;

namespace {

constexpr std::uint64_t messages = 12;

/// A pool of two workers, in which message 0 keeps the window from moving until the last message has made
/// its `change`; so all between are the last one's worker's own results, which it has handed in.
template <class Change>
std::vector<seen_outcome> outcomes_after(Change change, const inner_body& inside = {}, bool verifies = true) {
    pool_options options = small_pool(2, 16, 16);
    options.verify_results = verifies;
    const wild_map map(options);
    shared_value<std::atomic<bool>> changed;
    engine<world> tested(options, {}, [&](std::uint64_t index) {
        if (index == 0) {
            while (!changed->load()) {
                ::sched_yield();
            }
        } else if (index == messages - 1) {
            change(map, find_writable_rings());
            changed->store(true);
        } else if (inside) {
            inside(index);
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, messages, outcomes);
    return outcomes;
}

} // namespace

TEST_CASE("A worker that writes to where another's results are dies of it, and spoils none") {
    pool_options options = small_pool(2, 16, 16);
    options.attempts = 1;
    for (const bool reads : {false, true}) {
        CAPTURE(reads);
        engine<world> tested(options, {}, [reads](std::uint64_t index) {
            if (index == 3) {
                auto* const place = static_cast<volatile std::byte*>(find_writable_rings().anothers);
                *place = reads ? *place : std::byte{1};
            }
        });
        std::vector<seen_outcome> outcomes;
        put_and_collect(tested, messages, outcomes);
        CHECK(faults(outcomes).empty());
        for (const seen_outcome& outcome : outcomes) {
            CHECK(outcome.failed == (outcome.index == 3));
        }
        CHECK(outcomes[3].failure.kind == failure_kind::crashed);
        CHECK(outcomes[3].failure.signal == SIGSEGV);
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

TEST_CASE("Results that their worker writes over once it has handed them in are failures that say so") {
    const auto outcomes = outcomes_after([](const wild_map& map, const writable_rings& rings) {
        std::mt19937_64 random(1);
        scribble(map.part(rings, wild_part::payloads), wild_bytes::random, random); // headers stay
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
    CHECK_FALSE(outcomes.front().failed); // another's
    CHECK_FALSE(outcomes.back().failed);  // its body wrote its own after that
}

TEST_CASE("Records of failures that their worker writes over are failures that say so") {
    const auto outcomes = outcomes_after(
        [](const wild_map& map, const writable_rings& rings) {
            const auto payloads = map.part(rings, wild_part::payloads);
            for (std::size_t place = 0; place < map.places(); ++place) { // another kind of failure
                payloads[place * inline_bytes] = std::byte{1};
                map.extent(rings, place).front() = std::byte{1}; // where stacks are deep, the record is here
            }
        },
        [](std::uint64_t) { throw std::runtime_error("short"); });
    for (const seen_outcome& outcome : outcomes) {
        CAPTURE(outcome.index, outcome.failure.what);
        const bool throws = outcome.index > 0 && outcome.index < messages - 1;
        CHECK(outcome.failed == throws);
        CHECK((!throws || outcome.failure.what.find("overwritten") != std::string::npos));
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
    const auto outcomes = outcomes_after([](const wild_map& map, const writable_rings& rings) {
        const auto payloads = map.part(rings, wild_part::payloads);
        for (std::size_t at = inline_bytes; at < payloads.size();
             at += inline_bytes) { // each says what the first says
            std::copy_n(payloads.begin(), inline_bytes, payloads.begin() + static_cast<std::ptrdiff_t>(at));
        }
    });
    CHECK(faults(outcomes).empty());
}

TEST_CASE("A state that leads to another result, or to none, leads to a failure") {
    const auto mislead = [](const wild_map& map, const writable_rings& rings) {
        const auto states = map.part(rings, wild_part::states);
        for (std::size_t at = 0; at < states.size(); at += sizeof(state_cell)) {
            auto& cell = *reinterpret_cast<state_cell*>(&states[at]);
            cell.place = cell.place + 1; // where another one is, or was
        }
    };
    for (const bool verifies : {false, true}) {
        const auto outcomes = outcomes_after(mislead, {}, verifies);
        CHECK(faults(outcomes).empty());
        for (const seen_outcome& outcome : outcomes) {
            CHECK(outcome.failed == (outcome.index > 0 && outcome.index < messages - 1));
            CHECK((!outcome.failed || outcome.failure.kind == failure_kind::not_decodable));
        }
    }
}

} // namespace verified_results_test
