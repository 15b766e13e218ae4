// SPDX-License-Identifier: MIT
// When a worker that shares its CPU with another one moves, and that it may run everywhere afterwards.
#include "support/catch.hpp"
#include "support/cpus.hpp"
#include "support/engine_driver.hpp"
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
using forkflow_test::are_same;

namespace {

cpu_set_t set_of(std::initializer_list<std::size_t> cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const std::size_t cpu : cpus) {
        CPU_SET(cpu, &set);
    }
    return set;
}

constexpr std::uint32_t here = 7;
constexpr std::uint32_t elsewhere = 8;

/// Three workers, whose clock the test moves. CPUs are told with 1 added, as in the words that are shared.
struct pool_of_three {
    rings shared{resolved({.workers = 3}), 0};
    cpu_spread lowest{shared, 0};
    cpu_spread middle{shared, 1};
    cpu_spread highest{shared, 2};
    cpu_spread::clock::time_point now{1h};

    void later(std::chrono::milliseconds by = 1ms) { now += by; }
    /// The lowest and the highest are here, after so much time. True: the highest is to move.
    bool both_here(std::chrono::milliseconds by = 1ms) {
        later(by);
        CHECK_FALSE(lowest.note(here, now));
        return highest.note(here, now);
    }
};

} // namespace

TEST_CASE("A worker moves that sees twice that it shares its CPU with one of a lower seat; that one stays") {
    pool_of_three tested;
    CHECK_FALSE(tested.both_here());
    CHECK_FALSE(tested.middle.note(elsewhere, tested.now));
    CHECK(tested.both_here());
    CHECK_FALSE(tested.middle.note(elsewhere, tested.now));
}

TEST_CASE("After it was told to move a worker stays for ten periods") {
    pool_of_three tested;
    CHECK_FALSE(tested.both_here());
    CHECK(tested.both_here());
    for (int period = 1; period < 10; ++period) {
        CHECK_FALSE(tested.both_here());
    }
    CHECK(tested.both_here());
}

TEST_CASE("What was seen once and is otherwise the next time was chance") {
    pool_of_three tested;
    CHECK_FALSE(tested.both_here());
    tested.later();
    SECTION("the worker itself is elsewhere") {
        CHECK_FALSE(tested.lowest.note(here, tested.now));
        CHECK_FALSE(tested.highest.note(elsewhere, tested.now));
    }
    SECTION("the other one is elsewhere") {
        CHECK_FALSE(tested.lowest.note(elsewhere, tested.now));
        CHECK_FALSE(tested.highest.note(here, tested.now));
    }
    SECTION("it is much later") {
        tested.later(16ms);
    }
    SECTION("it is shared with a third") {
        CHECK_FALSE(tested.lowest.note(elsewhere, tested.now));
        CHECK_FALSE(tested.middle.note(here, tested.now));
        CHECK_FALSE(tested.highest.note(here, tested.now));
    }
    CHECK_FALSE(tested.both_here());
    CHECK(tested.both_here());
}

TEST_CASE("The same note seen again, or another one at once, is not seen twice") {
    pool_of_three tested;
    CHECK_FALSE(tested.both_here());
    tested.later();
    CHECK_FALSE(tested.highest.note(here, tested.now));
    tested.later();
    CHECK_FALSE(tested.highest.note(here, tested.now));
    CHECK(tested.both_here());

    pool_of_three soon; // the clock's next millisecond begins in between
    soon.now += 999us;
    CHECK_FALSE(soon.both_here(0ms));
    soon.now += 2us;
    CHECK_FALSE(soon.both_here(0ms));
    CHECK(soon.both_here());
}

TEST_CASE("Who sleeps, has been silent for eight periods, or has noted nothing shares no CPU") {
    pool_of_three tested;
    CHECK_FALSE(tested.highest.note(here, tested.now));
    tested.later();
    CHECK_FALSE(tested.highest.note(here, tested.now)); // the words of the others are 0

    for (seat_set* const sleepers : {&tested.shared.idle_seats(), &tested.shared.blocked_seats()}) {
        tested.later(20ms);
        insert(*sleepers, 0);
        CHECK_FALSE(tested.both_here());
        CHECK_FALSE(tested.both_here());
        erase(*sleepers, 0);
        CHECK_FALSE(tested.both_here());
        CHECK(tested.both_here());
    }

    tested.later(20ms);
    CHECK_FALSE(tested.lowest.note(here, tested.now));
    tested.later(9ms);
    CHECK_FALSE(tested.highest.note(here, tested.now));
    CHECK_FALSE(tested.both_here()); // the first time
    tested.later(7ms);
    CHECK_FALSE(tested.lowest.note(here, tested.now));
    tested.later(8ms);
    CHECK(tested.highest.note(here, tested.now));
}

TEST_CASE(
    "A note that is made between the look at the clock and the look at it counts, across the clock's wrap") {
    const auto wraps = cpu_spread::clock::time_point(std::chrono::milliseconds(std::int64_t{1} << 32U));
    for (const auto start : {wraps - 1h, wraps - 3ms, wraps - 2ms, wraps - 1ms, wraps}) {
        pool_of_three tested;
        tested.now = start;
        for (const bool again : {false, true}) {
            tested.later();
            CHECK_FALSE(tested.lowest.note(here, tested.now + 1ms));
            CHECK(tested.highest.note(here, tested.now) == again);
        }
    }
}

TEST_CASE("A worker moves only to a CPU that it may use and on which no worker was, however long ago") {
    pool_of_three tested;
    const auto free_of = [&](std::initializer_list<std::size_t> allowed) {
        return tested.highest.free_of_workers(set_of(allowed));
    };
    CHECK(are_same(*free_of({0, 1, 2}), set_of({0, 1, 2})));
    (void)tested.lowest.note(1 + 1, tested.now);
    (void)tested.middle.note(1 + 2, tested.now);
    tested.later(1h); // in a body
    (void)tested.highest.note(1 + 1, tested.now);
    CHECK(are_same(*free_of({0, 1, 2, 3}), set_of({0, 3})));
    CHECK_FALSE(free_of({1, 2}));
    insert(tested.shared.idle_seats(), 1);
    CHECK(are_same(*free_of({1, 2}), set_of({2})));
}

TEST_CASE("A worker moves to the collector's CPU only if no other is free") {
    pool_of_three tested;
    (void)tested.lowest.note(1 + 1, tested.now);
    tested.shared.parent().collector_cpu = 1 + 2;
    CHECK(are_same(*tested.highest.free_of_workers(set_of({1, 2, 3})), set_of({3})));
    CHECK(are_same(*tested.highest.free_of_workers(set_of({1, 2})), set_of({2})));
}

TEST_CASE("What a wild worker writes as its place names no CPU") {
    pool_of_three tested;
    for (const std::uint32_t cpu : {0U, std::uint32_t{CPU_SETSIZE} + 1, ~0U}) {
        for (int i = 0; i < 2; ++i) {
            tested.later(20ms);
            CHECK_FALSE(tested.lowest.note(cpu, tested.now));
            CHECK_FALSE(tested.highest.note(cpu, tested.now));
        }
        CHECK(are_same(*tested.highest.free_of_workers(set_of({1, 2})), set_of({1, 2})));
    }
}

TEST_CASE("Looks are a period apart, but never more than 64 messages for each of its milliseconds") {
    CHECK(cpu_spread::pace(1, 1ms, 1ms) == 1);
    CHECK(cpu_spread::pace(1, 100us, 1ms) == 10);
    CHECK(cpu_spread::pace(10, 2ms, 1ms) == 5);
    CHECK(cpu_spread::pace(64, 10h, 1ms) == 1);
    CHECK(cpu_spread::pace(64, 40us, 1ms) == 64);
    CHECK(cpu_spread::pace(64, 0us, 126ms) == 64 * 126);
}

TEST_CASE("A worker notes where it is once it has handed in a message; when it is dead nobody is there") {
    const forkflow_test::bounded_test bound;
    forkflow_test::engine<forkflow_test::process_world> tested({.workers = 1});
    const auto where = [&] {
        return rings_of(forkflow_test::rings_key(), tested.pool()).seat(0).whereabouts.load();
    };
    CHECK(where() == 0);
    tested.put();
    CHECK(forkflow_test::faults(tested.collect(1)) == "");
    if (cpu_spread::is_possible()) {
        CHECK(forkflow_test::eventually([&] { return where() != 0; }));
    }
    tested.world().kill_idle(0);
    CHECK(tested.deaths_become(1));
    CHECK(forkflow_test::eventually([&] { return where() == 0; }));
}

namespace {

/// In a thread that may use `allowed`: a worker that always shares its CPU with another one.
void moves_three_times_and_may_use_the_same_afterwards(const cpu_set_t& allowed) {
    const rings shared(resolved({.workers = 2}), 0);
    int moves = 0;
    bool same_cpus = true;
    const auto end = cpu_spread::clock::now() + 60s;
    std::thread([&] {
        forkflow_test::allow(allowed);
        cpu_spread other(shared, 0);
        cpu_spread spread(shared, 1);
        // One move may be the kernel's own doing, in that very moment.
        while (moves < 3 && same_cpus && cpu_spread::clock::now() < end) {
            const std::uint32_t before = this_cpu();
            (void)other.note(before, cpu_spread::clock::now());
            spread.between_messages();
            moves += this_cpu() != before ? 1 : 0;
            same_cpus = are_same(forkflow_test::allowed_cpus(), allowed);
        }
    }).join();
    CHECK(moves == 3);
    CHECK(same_cpus);
}

} // namespace

TEST_CASE("A worker that shares its CPU is elsewhere after a message, and may run where it might before") {
    cpu_set_t allowed = forkflow_test::allowed_cpus();
    if (CPU_COUNT(&allowed) < 2 || !cpu_spread::is_possible()) {
        WARN("needs two CPUs, and to be allowed to choose");
        return;
    }
    const forkflow_test::bounded_test bound;
    moves_three_times_and_may_use_the_same_afterwards(allowed);
    if (CPU_COUNT(&allowed) > 2) {
        for (std::size_t cpu = 0, kept = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed) && ++kept > 2) {
                CPU_CLR(cpu, &allowed);
            }
        }
        moves_three_times_and_may_use_the_same_afterwards(allowed);
    }
}

} // namespace cpu_spread_test
