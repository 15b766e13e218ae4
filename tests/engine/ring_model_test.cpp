// SPDX-License-Identifier: MIT
// The request ring and the reorder window against a plain model, without any worker: the test moves the state
// words as workers and the supervisor would.
#include "fuzz/counted_memory.hpp"
#include "support/catch.hpp"
#include "support/half_pool.hpp"

#include <forkflow/nodes/seat_set.hpp>

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace ring_model_test {

using namespace forkflow;
using namespace forkflow::nodes;
using forkflow_test::half_pool;

namespace {

enum class stage { reserved, ready, running, inherited, finished };

struct model_message {
    sequence number;
    bool marker;
    stage now;
};

/// What is inside, by the book.
struct model {
    std::size_t window;
    std::size_t requests;
    std::deque<model_message> inside;

    std::size_t unfinished() const {
        return static_cast<std::size_t>(std::count_if(
            inside.begin(), inside.end(), [](const auto& one) { return one.now != stage::finished; }));
    }
    bool accepts(bool marker) const {
        return inside.size() < requests + window && (marker || unfinished() < requests);
    }
    /// What a worker claims that has nothing to do: the oldest that is ready, unless it stops before.
    model_message* next_to_claim() {
        const auto stops = std::find_if(inside.begin(), inside.end(), [](const auto& one) {
            return one.now == stage::reserved || one.now == stage::ready;
        });
        return stops != inside.end() && stops->now == stage::ready ? &*stops : nullptr;
    }
    /// One of the messages in this stage, by chance; none if there is none.
    model_message* any(std::mt19937& random, stage wanted) {
        std::vector<model_message*> candidates;
        for (model_message& one : inside) {
            if (one.now == wanted) {
                candidates.push_back(&one);
            }
        }
        return candidates.empty() ? nullptr : candidates[random() % candidates.size()];
    }
};

void one_random_step(std::mt19937& random, half_pool& tested, model& expected) {
    switch (random() % 6) {
    case 0: {
        std::vector<message_kind> kinds(random() % 6);
        std::generate(kinds.begin(), kinds.end(),
                      [&] { return random() % 4 == 0 ? message_kind::marker : message_kind::request; });
        const reserved_run run = tested.requests.try_reserve(kinds);
        REQUIRE(run.count <= kinds.size());
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const bool marker = kinds[i] == message_kind::marker;
            REQUIRE(expected.accepts(marker));
            expected.inside.push_back({run.first + i, marker, stage::reserved});
        }
        REQUIRE((run.count == kinds.size() || !expected.accepts(kinds[run.count] == message_kind::marker)));
        break;
    }
    case 1: {
        const bool marker = random() % 4 == 0;
        const auto number =
            tested.requests.try_reserve(marker ? message_kind::marker : message_kind::request);
        REQUIRE(number.has_value() == expected.accepts(marker));
        if (number) {
            expected.inside.push_back({*number, marker, stage::reserved});
        }
        break;
    }
    case 2:
        if (model_message* const one = expected.any(random, stage::reserved)) { // in any order
            one->now = one->marker ? stage::finished : stage::ready;
            if (one->marker) {
                tested.requests.commit_marker(one->number);
            } else if (random() % 8 == 0) {
                tested.requests.commit_failure(one->number, {.what = "f" + std::to_string(one->number)});
                one->now = stage::finished;
            } else {
                tested.requests.commit_request(one->number, 0);
            }
        }
        break;
    case 3: {
        model_message* const inherited = expected.any(random, stage::inherited);
        model_message* const one = inherited != nullptr ? inherited : expected.next_to_claim();
        if (one != nullptr) {
            tested.claim(one->number);
            one->now = stage::running;
        }
        break;
    }
    case 4: {
        model_message* const one = expected.any(random, stage::running);
        if (one != nullptr && random() % 4 == 0) {
            tested.bequeath(one->number);
            one->now = stage::inherited;
        } else if (one != nullptr && !before(tested.admitted(), one->number)) {
            tested.publish(one->number);
            one->now = stage::finished;
        }
        break;
    }
    default: {
        const auto outcome = tested.window.peek();
        const bool due = !expected.inside.empty() && expected.inside.front().now == stage::finished;
        REQUIRE(outcome.has_value() == due);
        if (outcome) {
            REQUIRE(outcome->number == expected.inside.front().number);
            REQUIRE(outcome->sound);
            if (outcome->state == message_state::failed) {
                CHECK(tested.failures.take(outcome->number).value().what ==
                      "f" + std::to_string(outcome->number));
            }
            CHECK((outcome->state == message_state::marker) == expected.inside.front().marker);
            tested.window.release();
            expected.inside.pop_front();
        }
    }
    }
}

void check_alike(half_pool& tested, const model& expected) {
    const auto counted = tested.requests.count();
    const auto in = [&](stage wanted) {
        return std::count_if(expected.inside.begin(), expected.inside.end(),
                             [&](const auto& one) { return one.now == wanted; });
    };
    CHECK(counted.waiting == in(stage::reserved) + in(stage::ready) + in(stage::inherited));
    CHECK(counted.running == in(stage::running));
    CHECK(counted.finished == in(stage::finished));
    CHECK(distance(tested.window.next_to_emit(), tested.requests.next()) ==
          static_cast<std::int32_t>(expected.inside.size()));
    for (std::size_t more = 1; more <= expected.requests + 1; ++more) {
        const bool fits = expected.inside.size() + more <= expected.requests + expected.window &&
                          expected.unfinished() + more <= expected.requests;
        CHECK(tested.requests.has_room(more) == fits);
    }
    // The admission counter never runs ahead, and lags by no more than a quarter of the window.
    const std::int32_t lag = distance(tested.admitted(), tested.window.next_to_emit() +
                                                             static_cast<sequence>(expected.window) - 1);
    CHECK(lag >= 0);
    CHECK(lag <= static_cast<std::int32_t>(expected.window / 4));
}

} // namespace

TEST_CASE("Request ring and reorder window do what a plain model does, also across the wrap") {
    struct shape {
        std::size_t window;
        std::size_t requests;
        sequence first;
    };
    for (const shape& each : {shape{1, 1, 0}, shape{1, 9, 0U - 20}, shape{9, 1, 5}, shape{4, 4, 0U - 300},
                              shape{13, 6, 0x80000000U - 100}, shape{16, 16, 0}}) {
        CAPTURE(each.window, each.requests, each.first);
        std::mt19937 random(static_cast<unsigned>(each.window * 100 + each.requests));
        half_pool tested(each.window, each.requests, each.first);
        model expected{each.window, each.requests, {}};
        for (int i = 0; i < 40'000; ++i) {
            one_random_step(random, tested, expected);
            if (i % 16 == 0) {
                check_alike(tested, expected);
            }
        }
        CHECK(distance(each.first, tested.requests.next()) > 500);
    }
}

TEST_CASE("A collector that rests leaves the admission counter at next to emit plus window minus one") {
    for (const std::size_t window : {1U, 2U, 3U, 8U, 40U}) {
        const sequence first = 0U - 10;
        half_pool tested(window, 64, first);
        const auto expected = [&] {
            return tested.window.next_to_emit() + static_cast<sequence>(window) - 1;
        };
        CHECK(tested.admitted() == expected());
        for (int i = 0; i < 30; ++i) {
            for (int k = 0; k <= i % 5; ++k) {
                const auto number = tested.requests.try_reserve(message_kind::marker);
                REQUIRE(number);
                tested.requests.commit_marker(*number);
            }
            while (tested.window.peek()) {
                tested.window.release();
            }
            CHECK(tested.window.arm());
            CHECK(tested.admitted() == expected());
        }
    }
}

TEST_CASE("A collector that arms is rung by the outcome that it waits for, once, and by no other") {
    half_pool tested(8, 8, 0);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(tested.requests.try_reserve(message_kind::marker));
    }
    REQUIRE(tested.window.arm());
    tested.requests.commit_marker(1);
    CHECK(tested.rings() == 0);
    tested.requests.commit_marker(0);
    CHECK(tested.rings() == 1);
    tested.requests.commit_marker(2);
    CHECK(tested.rings() == 1);
    CHECK_FALSE(tested.window.arm()); // the outcome is there
    tested.window.release();
    tested.window.release();
    tested.window.release();
    REQUIRE(tested.window.arm());
    REQUIRE(tested.requests.try_reserve(message_kind::request));
    tested.requests.commit_failure(3, {});
    CHECK(tested.rings() == 2);
}

TEST_CASE("Admission rings the workers that it admits and no others") {
    half_pool tested(2, 8, 0, 3);
    const auto block = [&](std::uint32_t seat, sequence awaited) {
        tested.shared.seat(seat).awaited = awaited;
        tested.shared.seat(seat).bell = 0;
        insert(tested.shared.blocked_seats(), seat);
    };
    const auto rung = [&](std::uint32_t seat) { return tested.shared.seat(seat).bell.load() == 1; };
    block(0, 2);
    block(1, 3);
    block(2, 4);
    for (int i = 0; i < 2; ++i) {
        REQUIRE(tested.requests.try_reserve(message_kind::marker));
    }
    tested.requests.commit_marker(0);
    REQUIRE(tested.window.peek());
    tested.window.release();
    tested.window.admit();
    CHECK(rung(0));
    CHECK_FALSE(rung(1));
    tested.requests.commit_marker(1);
    tested.window.release();
    tested.window.admit();
    CHECK(rung(1));
    CHECK_FALSE(rung(2));
    CHECK_FALSE(erase(tested.shared.blocked_seats(), 0));
    CHECK(erase(tested.shared.blocked_seats(), 2));
}

TEST_CASE("A commit rings one sleeping worker") {
    half_pool tested(8, 8, 0, 3);
    insert(tested.shared.idle_seats(), 1);
    insert(tested.shared.idle_seats(), 2);
    const auto rung = [&] {
        int count = 0;
        for (std::uint32_t seat = 0; seat < 3; ++seat) {
            count += static_cast<int>(tested.shared.seat(seat).bell.load());
        }
        return count;
    };
    for (const int expected : {1, 2, 2}) {
        const auto number = tested.requests.try_reserve(message_kind::request);
        REQUIRE(number);
        tested.requests.commit_request(*number, 0);
        CHECK(rung() == expected);
    }
}

TEST_CASE(
    "Producers that arm for room hear at once that there is room, or are rung before the workers run dry") {
    half_pool tested(4, 8, 0); // a window of 4, 8 requests, 2 workers
    CHECK_FALSE(tested.requests.arm_for_room());
    for (sequence i = 0; i < 8; ++i) {
        REQUIRE(tested.requests.try_reserve(message_kind::request) == i);
        tested.requests.commit_request(i, 0);
    }
    CHECK(tested.requests.arm_for_room());
    CHECK(tested.shared.bell().room_countdown.load() == 3); // half of what the workers are not running
    CHECK_FALSE(tested.shared.count_down_room());
    CHECK(tested.requests.arm_for_room());
    CHECK(tested.shared.bell().room_countdown.load() == 2); // somebody else's countdown goes on
    CHECK_FALSE(tested.shared.count_down_room());
    CHECK(tested.shared.count_down_room());
}

TEST_CASE("Who arms for the first place is rung for it, whoever else has armed, or arms later, for several") {
    half_pool tested(4, 8, 0);
    for (sequence i = 0; i < 8; ++i) {
        REQUIRE(tested.requests.try_reserve(message_kind::request) == i);
        tested.requests.commit_request(i, 0);
    }
    CHECK(tested.requests.arm_for_room());
    CHECK(tested.requests.arm_for_room(room_ring::soon));
    CHECK(tested.requests.arm_for_room());
    CHECK(tested.shared.count_down_room());
}

TEST_CASE("When the pool fails, what nobody has claimed fails, and what comes later, with the first reason") {
    half_pool tested(4, 8, 0U - 2);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(tested.requests.try_reserve(message_kind::request));
    }
    const sequence first = 0U - 2;
    tested.requests.commit_request(first, 0);
    tested.requests.commit_request(first + 1, 0);
    tested.requests.commit_request(first + 2, 0);
    tested.claim(first + 1); // a worker has it
    const std::uint32_t rings = tested.rings();
    tested.requests.fail_all({.kind = failure_kind::pool_failed, .what = "first"});
    tested.requests.fail_all({.kind = failure_kind::pool_failed, .what = "second"});
    CHECK(tested.rings() > rings);
    CHECK(tested.word(first).state == message_state::failed);
    CHECK(tested.word(first + 1).state == message_state::claimed);
    CHECK(tested.word(first + 2).state == message_state::failed);
    tested.requests.commit_request(first + 3, 0); // reserved before, committed after
    CHECK(tested.word(first + 3).state == message_state::failed);
    tested.requests.commit_marker(first + 4);
    CHECK(tested.word(first + 4).state == message_state::marker);
    for (const sequence number : {first, first + 2, first + 3}) {
        CHECK(tested.failures.take(number).value().what == "first");
    }
}

TEST_CASE("When the pool has failed, messages fail also if there is no memory to say why") {
    half_pool tested(4, 8, 0);
    REQUIRE(tested.requests.try_reserve(message_kind::request) == 0U);
    const std::string reason(1000, 'x');
    tested.requests.fail_all({.kind = failure_kind::pool_failed, .what = reason});
    {
        const forkflow_fuzz::memory_budget none(0);
        tested.requests.commit_request(0, 0);
    }
    CHECK(tested.word(0).state == message_state::failed);
    const std::optional<failure> wordless = tested.failures.take(0);
    REQUIRE(wordless);
    CHECK(wordless->kind == failure_kind::no_memory);
    CHECK_FALSE(tested.failures.take(0));
}

TEST_CASE("Messages whose words were spoilt and mended are finished, also behind one that waits") {
    half_pool tested(8, 8, 0);
    for (sequence number = 0; number < 8; ++number) {
        REQUIRE(tested.requests.try_reserve(message_kind::request) == number);
        tested.requests.commit_request(number, 0);
    }
    CHECK_FALSE(tested.requests.has_room());
    for (sequence number = 1; number < 8; ++number) {
        tested.shared.state(number) = state_word{.number = number - 3, .attempt = 9}.packed();
        REQUIRE(tested.guard.is_wild(number));
        tested.requests.mend(number);
    }
    CHECK(tested.requests.has_room(7));
    CHECK_FALSE(tested.requests.has_room(8));
}

TEST_CASE("A result whose header makes no sense is unsound, whatever a worker writes there") {
    half_pool tested(4, 4, 9);
    REQUIRE(tested.requests.try_reserve(message_kind::request));
    tested.requests.commit_request(9, 0);
    tested.claim(9);
    tested.publish(9);
    slot_header& header = tested.shared.result({.seat = 1, .place = 0}).header;
    REQUIRE(tested.window.peek()->sound);
    const std::size_t most = tested.shared.result({}).extent.size();
    const std::vector<slot_header> senseless = {{.length_bytes = most + 1, .kind = 0, .number = 9},
                                                {.length_bytes = ~std::uint64_t{0}, .kind = 0, .number = 9},
                                                {.length_bytes = 1, .kind = 2, .number = 9},
                                                {.length_bytes = 1, .kind = ~0U, .number = 9},
                                                {.length_bytes = 1, .kind = 0, .number = 8}};
    for (const slot_header& each : senseless) {
        header = each;
        const auto outcome = tested.window.peek();
        REQUIRE(outcome);
        CHECK_FALSE(outcome->sound);
        CHECK(outcome->payload.empty()); // nobody is to do anything about another message's bytes
    }
    header = {.length_bytes = most, .kind = 1, .number = 9};
    CHECK(tested.window.peek()->sound);
    CHECK(tested.window.peek()->payload.size() == most);
    for (const std::uint32_t place : {1U, tested.shared.places(), ~0U}) { // another's, or nobody's
        tested.shared.place_of(9) = place;
        CHECK_FALSE(tested.window.peek()->sound);
    }
    tested.shared.place_of(9) = 0;
    state_word word = tested.word(9);
    for (const std::uint32_t seat : {0U, 2U, parent_seat}) {
        word.seat = seat;
        tested.set(word);
        CHECK_FALSE(tested.window.peek()->sound);
    }
}

} // namespace ring_model_test
