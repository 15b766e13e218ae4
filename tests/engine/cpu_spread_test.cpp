// SPDX-License-Identifier: MIT
// When a worker that shares its CPU with another one moves, and that it may run everywhere afterwards.
#include "support/catch.hpp"
#include "support/leftovers.hpp"

#include <forkflow/nodes/cpu_spread.hpp>
#include <forkflow/nodes/same_cpu.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <sched.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <thread>

namespace cpu_spread_test {

using namespace forkflow;
using namespace forkflow::nodes;
using namespace std::chrono_literals;

namespace {

cpu_set_t set_of(std::initializer_list<std::size_t> cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const std::size_t cpu : cpus) {
        CPU_SET(cpu, &set);
    }
    return set;
}

bool same(const cpu_set_t& left, const cpu_set_t& right) {
    return CPU_EQUAL(&left, &right) != 0;
}

/// Three workers, whose clock the test moves. CPUs are told with 1 added, as in the words that are shared.
struct pool_of_three {
    rings shared{resolved({.workers = 3}), 0};
    cpu_spread lowest{shared, 0};
    cpu_spread middle{shared, 1};
    cpu_spread highest{shared, 2};
    cpu_spread::clock::time_point now{1h};

    void later(std::chrono::milliseconds by = 1ms) { now += by; }
};

} // namespace

TEST_CASE("A worker moves that sees twice that it shares its CPU with one of a lower seat; that one stays") {
    pool_of_three tested;
    for (int i = 0; i < 5; ++i) {
        CHECK_FALSE(tested.lowest.note(7, tested.now));
        CHECK_FALSE(tested.highest.note(8, tested.now));
        CHECK(tested.middle.note(7, tested.now) == (i > 0));
        tested.later();
    }
    CHECK_FALSE(tested.middle.note(9, tested.now)); // it was moved
    tested.later();
    CHECK_FALSE(tested.middle.note(7, tested.now)); // and is back: once is chance
    tested.later();
    CHECK(tested.middle.note(7, tested.now));
}

TEST_CASE("Who sleeps, has been silent for long, or has noted nothing shares no CPU") {
    pool_of_three tested;
    CHECK_FALSE(tested.highest.note(7, tested.now));
    CHECK_FALSE(tested.highest.note(7, tested.now)); // the words of the others are 0

    CHECK_FALSE(tested.lowest.note(7, tested.now));
    CHECK_FALSE(tested.highest.note(7, tested.now));
    CHECK(tested.highest.note(7, tested.now));
    for (seat_set* const sleepers : {&tested.shared.idle_seats(), &tested.shared.blocked_seats()}) {
        insert(*sleepers, 0);
        CHECK_FALSE(tested.highest.note(7, tested.now));
        erase(*sleepers, 0);
        CHECK_FALSE(tested.highest.note(7, tested.now));
        CHECK(tested.highest.note(7, tested.now));
    }
    tested.later(1s);
    CHECK_FALSE(tested.highest.note(7, tested.now));
    CHECK_FALSE(tested.highest.note(7, tested.now));
}

TEST_CASE("A worker moves only to a CPU that it may use and on which no worker was seen") {
    pool_of_three tested;
    CHECK(same(*tested.highest.without_workers(set_of({0, 1, 2}), tested.now), set_of({0, 1, 2})));
    (void)tested.lowest.note(1 + 1, tested.now);
    (void)tested.middle.note(1 + 2, tested.now);
    (void)tested.highest.note(1 + 1, tested.now);
    CHECK(same(*tested.highest.without_workers(set_of({0, 1, 2, 3}), tested.now), set_of({0, 3})));
    CHECK_FALSE(tested.highest.without_workers(set_of({1, 2}), tested.now));
    insert(tested.shared.idle_seats(), 1);
    CHECK(same(*tested.highest.without_workers(set_of({1, 2}), tested.now), set_of({2})));
    tested.later(1s);
    CHECK(same(*tested.highest.without_workers(set_of({1, 2}), tested.now), set_of({1, 2})));
    // What a wild worker has written there names no CPU.
    tested.shared.seat(0).whereabouts = ~std::uint64_t{0};
    CHECK(same(*tested.highest.without_workers(set_of({1, 2}), tested.now), set_of({1, 2})));
}

TEST_CASE("A worker that shares its CPU is elsewhere after a message, and may run on all its CPUs again") {
    cpu_set_t allowed;
    REQUIRE(::sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    if (CPU_COUNT(&allowed) < 2) {
        WARN("needs two CPUs");
        return;
    }
    const forkflow_test::bounded_test bound;
    const rings shared(resolved({.workers = 2}), 0);
    int moves = 0;
    bool everywhere = true;
    std::thread([&] { // has its own CPUs
        cpu_spread other(shared, 0);
        cpu_spread spread(shared, 1);
        while (moves < 3) { // one may be the kernel's own doing, in that very moment
            const std::uint32_t here = this_cpu();
            (void)other.note(here, cpu_spread::clock::now());
            spread.between_messages();
            moves += this_cpu() != here ? 1 : 0;
            cpu_set_t after;
            everywhere &= ::sched_getaffinity(0, sizeof after, &after) == 0 && same(after, allowed);
        }
    })
        .join();
    CHECK(everywhere);
}

} // namespace cpu_spread_test
