// SPDX-License-Identifier: MIT
// The places that a worker has for its results: which it takes, when they are free again, and what the worker
// after it finds.
#include "support/catch.hpp"
#include "support/engine_scenarios.hpp"

#include <forkflow/nodes/result_places.hpp>

namespace result_places_test {

using namespace forkflow;
using namespace forkflow::nodes;

namespace {

constexpr sequence first = 0U - 3; // so that numbers wrap

/// The places of seat 1 of a pool of two workers with a window of three: four, and the one for the next to
/// emit. The test plays the collector.
struct seat_of_four {
    rings shared{resolved({.workers = 2, .window = 3}), first};
    result_places places{shared, 1};

    seat_of_four() { places.take_over(); }
    /// So many outcomes have left.
    void emit(std::uint64_t outcomes) {
        shared.parent().emitted = outcomes;
        shared.parent().admitted = first + static_cast<sequence>(outcomes) + 3 - 1;
    }
    /// The place that the message at this position gets. Its result is handed in there.
    std::uint32_t take(std::uint64_t position, std::size_t likely_bytes = 0) {
        return take(places, position, likely_bytes);
    }
    std::uint32_t take(result_places& from, std::uint64_t position, std::size_t likely_bytes = 0) const {
        const result_place taken = from.take(position, likely_bytes);
        CHECK(taken.seat == 1);
        CHECK(shared.words_of(taken).user == position + 1);
        shared.words_of(taken).handed_in = static_cast<std::uint32_t>(position + 1);
        return taken.place;
    }
    [[nodiscard]] std::vector<std::uint64_t> users() const {
        std::vector<std::uint64_t> found;
        for (std::uint32_t place = 0; place < shared.places(); ++place) {
            found.push_back(shared.words_of(result_place{1, place}).user);
        }
        return found;
    }
};

} // namespace

TEST_CASE("A place is free again once the outcome has left, and the one that is free for longest is taken") {
    seat_of_four tested;
    CHECK(tested.take(0) == 0);
    CHECK(tested.take(1) == 1);
    CHECK(tested.take(3) == 2);
    tested.emit(1);
    CHECK(tested.take(4) == 3);
    tested.emit(2);
    CHECK(tested.take(5) == 0);
    tested.emit(6);
    for (std::uint64_t position = 6; position < 100; ++position) { // across the wrap
        CHECK(tested.take(position) == (position - 5) % 4);
        tested.emit(position + 1);
    }
}

TEST_CASE("Of places for results beyond all caches, the one that was freed last is taken first") {
    constexpr std::size_t large = std::size_t{16} << 20U;
    seat_of_four tested;
    CHECK(tested.take(0) == 0); // nobody knows yet
    CHECK(tested.take(1, large) == 3);
    tested.emit(1);
    CHECK(tested.take(2, large) == 0);
    tested.emit(3); // 3, then 0
    CHECK(tested.take(3, large) == 0);
    CHECK(tested.take(4, large) == 3);
    for (std::uint64_t position = 5; position < 100; ++position) {
        tested.emit(position);
        CHECK(tested.take(position, large) == 3);
    }
    tested.emit(100);
    CHECK(tested.take(100, large - 1) == 1); // in turn again
    CHECK(tested.take(101, large - 1) == 2);
    CHECK(tested.take(102, large) == 3);
    CHECK(tested.take(103, large) == 0);
    CHECK_FALSE(tested.places.has_free());
    CHECK(tested.take(104, large) == 4); // if it is the next to emit
    tested.emit(101);
    CHECK(tested.take(105, large) == 1);
}

TEST_CASE("Who has used all places has none but for the next to emit, which gets the last one") {
    seat_of_four tested;
    tested.emit(7);
    for (const std::uint64_t position : {8U, 9U, 10U, 10U}) {
        CHECK(tested.places.has_free());
        CHECK(tested.take(position) < 4);
    }
    CHECK_FALSE(tested.places.has_free());
    CHECK(tested.take(7) == 4);
    tested.emit(8);
    CHECK_FALSE(tested.places.has_free());
    CHECK(tested.take(8) == 4);
    tested.emit(9);
    CHECK(tested.places.has_free());
    CHECK(tested.take(12) == 0);
    CHECK_FALSE(tested.places.has_free());
}

TEST_CASE("A worker leaves alone what the one before it has handed in") {
    seat_of_four tested;
    tested.emit(20);
    CHECK(tested.take(20) == 0);
    CHECK(tested.take(21) == 1);
    CHECK(tested.take(22) == 2);
    tested.emit(21);
    result_places next(tested.shared, 1);
    next.take_over();
    CHECK(tested.take(next, 23) == 0); // 20 has left
    CHECK(tested.take(next, 24) == 3);
    CHECK_FALSE(next.has_free());
    tested.emit(22); // 21 has left
    CHECK(tested.take(next, 25) == 1);
    CHECK(tested.users() == std::vector<std::uint64_t>{24, 26, 23, 25, 0});
}

TEST_CASE("A worker that died before it handed its result in leaves the place to the one after it") {
    seat_of_four tested;
    for (int death = 0; death < 10; ++death) {
        result_places next(tested.shared, 1);
        next.take_over();
        CHECK(next.take(0, 0).place == 0);
    }
    result_places next(tested.shared, 1);
    next.take_over();
    for (std::uint64_t position = 0; position < 3; ++position) {
        CHECK(tested.take(next, position) == position);
    }
    CHECK(next.has_free());
}

TEST_CASE("What a wild worker has written in place of users leaves its successor enough places") {
    seat_of_four tested;
    tested.emit(20);
    for (const std::uint64_t nonsense : {~std::uint64_t{0}, std::uint64_t{1} << 63U, std::uint64_t{20}}) {
        for (std::uint32_t place = 0; place < tested.shared.places(); ++place) {
            tested.shared.words_of(result_place{1, place}).user = nonsense;
        }
        result_places next(tested.shared, 1);
        next.take_over();
        for (std::uint64_t position = 20; position < 24; ++position) {
            CHECK(next.has_free());
            CHECK(tested.take(next, position) < 4);
        }
    }
    for (std::uint32_t place = 0; place < tested.shared.places(); ++place) {
        tested.shared.words_of(result_place{1, place}).user = 23; // it might be
        tested.shared.words_of(result_place{1, place}).handed_in = 23;
    }
    result_places next(tested.shared, 1);
    next.take_over();
    CHECK_FALSE(next.has_free());
    CHECK(tested.take(next, 20) == 4);
    tested.emit(23);
    CHECK(next.has_free());
}

namespace {

/// Seven of eight workers are held up, so the last one uses up its places. It dies when it has said that it
/// will sleep for want of one, and has not handed on the ring for what it leaves to others.
template <class World>
void a_worker_without_a_place_costs_nothing_if_it_dies() {
    const forkflow_test::engine_watchdog watchdog("a worker without a place");
    constexpr int places = 4 * 10 + 1;
    constexpr std::size_t more = 20;
    const forkflow_test::shared_value<forkflow_test::gate> others_may_end;
    const forkflow_test::shared_value<std::atomic<int>> handed_in;
    const forkflow_test::shared_value<std::atomic<bool>> died;
    const forkflow_test::opened_at_end open(*others_may_end);
    forkflow_test::engine<World> tested(
        forkflow_test::small_pool(8, 80, 80),
        [&](const forkflow_test::passage& now) {
            if (now.here == step::notified) {
                handed_in->fetch_add(1);
            }
            if (now.here == step::parking && handed_in->load() == places && !died->exchange(true)) {
                World::die();
            }
        },
        [&](std::uint64_t index) {
            if (index < 7) {
                others_may_end->pass();
            }
        });
    const auto counts_become = [&](std::size_t running, std::size_t finished, std::size_t waiting) {
        return forkflow_test::eventually([&] {
            const forkflow::statistics now = tested.statistics();
            return now.running == running && now.finished == finished && now.waiting == waiting;
        });
    };
    tested.put_many(7);
    REQUIRE(counts_become(7, 0, 0));
    tested.put_many(places + more);
    REQUIRE(tested.deaths_become(1));
    CHECK(counts_become(7, places, more)); // nobody has a place for them
    others_may_end->open();
    const auto outcomes = tested.collect(7 + places + more);
    CHECK(forkflow_test::faults(outcomes).empty());
    for (const forkflow_test::seen_outcome& outcome : outcomes) {
        CHECK(outcome.attempts == 1);
    }
}

} // namespace

TEST_CASE("A worker that dies when it has no place for a result costs nothing") {
    a_worker_without_a_place_costs_nothing_if_it_dies<forkflow_test::process_world>();
    a_worker_without_a_place_costs_nothing_if_it_dies<forkflow_test::thread_world>();
}

} // namespace result_places_test
