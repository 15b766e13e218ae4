// SPDX-License-Identifier: MIT
// What must hold when workers die: at each step, while they sleep, one after the other and all at once.
#pragma once

#include "engine_scenarios.hpp"

#include <array>

namespace forkflow_test {

/// Where in a stream of messages a death falls.
enum class moment { first, middle, last };

inline constexpr std::size_t stream_length = 30;

constexpr std::size_t place_of(moment when) {
    return when == moment::first ? 0 : when == moment::middle ? stream_length / 2 : stream_length - 1;
}

/// True if a worker that dies at this step holds a message that it has not handed in.
constexpr bool holds_a_message(step here) {
    return here == step::claimed || here == step::awaiting_admission || here == step::admitted ||
           here == step::written || here == step::condemned;
}

/// Every step of a worker, by the scenario that kills it there.
inline constexpr std::array steps_of_a_message_or_a_life = {
    step::started,   step::initialised, step::claimed,  step::admitted, step::written,
    step::published, step::notified,    step::retiring, step::relieved, step::leaving};
inline constexpr std::array steps_without_work = {step::parking, step::woken};
inline constexpr std::array steps_that_others_bring_about = {step::awaiting_admission, step::room_made,
                                                             step::condemned};

constexpr bool every_step_has_its_scenario() {
    for (int each = 0; each <= static_cast<int>(forkflow::nodes::last_worker_step); ++each) {
        const auto is_in = [each](const auto& steps) {
            return std::find(steps.begin(), steps.end(), static_cast<step>(each)) != steps.end();
        };
        if (!is_in(steps_of_a_message_or_a_life) && !is_in(steps_without_work) &&
            !is_in(steps_that_others_bring_about)) {
            return false;
        }
    }
    return true;
}
static_assert(every_step_has_its_scenario());

constexpr bool is_passed_once_per_worker(step here) {
    return here == step::started || here == step::initialised || here == step::retiring ||
           here == step::relieved || here == step::leaving;
}

/// Attempts beyond the first, over all outcomes.
inline std::size_t extra_attempts(const std::vector<seen_outcome>& outcomes) {
    return std::accumulate(outcomes.begin(), outcomes.end(), std::size_t{0},
                           [](std::size_t sum, const seen_outcome& one) { return sum + one.attempts - 1; });
}

template <class World>
void put_and_collect(engine<World>& tested, std::size_t count, std::vector<seen_outcome>& outcomes) {
    std::thread producer([&] { tested.put_many(count); });
    auto more = tested.collect(count);
    producer.join();
    std::move(more.begin(), more.end(), std::back_inserter(outcomes));
}

/// For steps that are passed once per message, or once per worker.
template <class World>
void one_death_costs_nothing_but_an_attempt(step here, moment when, std::size_t workers, unsigned attempts,
                                            bool verify_results = false) {
    CAPTURE(static_cast<int>(here), static_cast<int>(when), workers, attempts, verify_results);
    const engine_watchdog watchdog("a death at a step");
    pool_options options = small_pool(workers, 8, 8);
    options.attempts = attempts;
    options.verify_results = verify_results;
    const bool of_a_life = is_passed_once_per_worker(here);
    options.recycle_after = of_a_life ? 1 : 0; // so that there are many lives
    engine<World> tested(options, [=](const passage& now) {
        if (now.here == here && now.count == place_of(when)) {
            World::die();
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, stream_length, outcomes);
    while (of_a_life && tested.statistics().deaths == 0) {
        put_and_collect(tested, workers, outcomes);
    }
    REQUIRE(tested.deaths_become(1));
    put_and_collect(tested, 5, outcomes); // and it goes on

    CHECK(faults(outcomes).empty());
    const bool charged = holds_a_message(here);
    const bool failed = charged && attempts == 1;
    CHECK(extra_attempts(outcomes) == (charged && !failed ? 1 : 0));
    const forkflow::statistics after = tested.statistics();
    CHECK(after.retries == (charged && !failed ? 1 : 0));
    CHECK(after.failures == (failed ? 1 : 0));
    for (const seen_outcome& one : outcomes) {
        if (one.failed) {
            CHECK(one.failure.kind == failure_kind::crashed);
            CHECK(one.failure.signal == SIGKILL);
            CHECK(one.failure.attempts == 1);
        }
        if (workers == 1 && charged && one.index == place_of(when)) { // alone, it takes messages in order
            CHECK((failed ? one.failed : one.attempts == 2));
        }
    }
}

/// A worker dies between its "I shall sleep" and its sleep, or on being woken, for want of work.
template <class World>
void a_death_without_work_costs_nothing(step here, moment when, std::size_t workers) {
    CAPTURE(static_cast<int>(here), static_cast<int>(when), workers);
    const engine_watchdog watchdog("a death of an idle worker");
    shared_value<std::atomic<bool>> armed;
    armed->store(when == moment::first);
    engine<World> tested(small_pool(workers, 8, 8), [&](const passage& now) {
        if (now.here == here && armed->exchange(false)) {
            World::die();
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, place_of(when), outcomes);
    if (when != moment::first) {
        armed->store(true);
    }
    // Until one parks, or was asleep when it was rung.
    for (int i = 0; i < 1000 && armed->load(); ++i) {
        REQUIRE(eventually([&] { return !armed->load() || tested.world().asleep(0); }));
        put_and_collect(tested, 1, outcomes);
    }
    REQUIRE(tested.deaths_become(1));
    put_and_collect(tested, stream_length, outcomes);
    CHECK(faults(outcomes).empty());
    CHECK(extra_attempts(outcomes) == 0);
    CHECK(tested.statistics().retries == 0);
    CHECK(tested.statistics().failures == 0);
}

/// A worker dies that holds a result which is not admitted: just before it sleeps, or asleep.
template <class World>
void a_death_while_blocked_is_retried(bool asleep, moment when, std::size_t workers) {
    CAPTURE(asleep, static_cast<int>(when), workers);
    const engine_watchdog watchdog("a death of a blocked worker");
    struct shared_state {
        std::atomic<bool> armed{false};
        std::atomic<std::uint32_t> blocked{~0U}; ///< the seat that waited for admission first
    };
    shared_value<shared_state> state;
    engine<World> tested(small_pool(workers, 1, 8), [&state, asleep](const passage& now) {
        if (now.here == step::awaiting_admission && state->armed.exchange(false)) {
            if (!asleep) {
                World::die();
            }
            state->blocked.store(now.seat);
        }
    });
    std::vector<seen_outcome> outcomes;
    for (std::size_t i = 0; i < place_of(when); ++i) {
        put_and_collect(tested, 1, outcomes);
    }
    state->armed.store(true);
    tested.put_many(6); // one result may be published; the next one blocks
    if (asleep) {
        REQUIRE(eventually([&] { return state->blocked.load() != ~0U; }));
        tested.world().kill(state->blocked.load());
    }
    REQUIRE(tested.deaths_become(1));
    auto rest = tested.collect(6);
    CHECK(extra_attempts(rest) == 1);
    CHECK(rest[0].attempts == 1); // it was admitted
    std::move(rest.begin(), rest.end(), std::back_inserter(outcomes));
    put_and_collect(tested, 5, outcomes);
    CHECK(faults(outcomes).empty());
    CHECK(extra_attempts(outcomes) == 1);
    CHECK(tested.statistics().retries == 1);
}

/// All workers are killed in their sleep; their replacements do the work.
template <class World>
void all_may_die_in_their_sleep() {
    const engine_watchdog watchdog("deaths of sleepers");
    engine<World> tested(small_pool(3, 8, 8));
    std::vector<seen_outcome> outcomes;
    for (std::uint64_t round = 1; round <= 5; ++round) {
        put_and_collect(tested, 7, outcomes);
        REQUIRE(eventually([&] { return tested.world().passages(step::initialised) == round * 3; }));
        for (std::uint32_t seat = 0; seat < 3; ++seat) {
            REQUIRE(eventually([&] { return tested.world().asleep(seat); }));
        }
        for (std::uint32_t seat = 0; seat < 3; ++seat) {
            tested.world().kill_idle(seat); // one may have been rung since: after each death all are
        }
        if (round % 2 == 0) {
            REQUIRE(tested.deaths_become(round * 3));
        }
        put_and_collect(tested, 7, outcomes);
        REQUIRE(tested.deaths_become(round * 3));
    }
    CHECK(faults(outcomes).empty());
    CHECK(extra_attempts(outcomes) == 0);
}

/// A death every so many steps, whatever the step is, while several producers go on.
template <class World>
void a_storm_of_deaths_loses_nothing(std::size_t workers, std::uint32_t every, sequence first) {
    CAPTURE(workers, every, first);
    const engine_watchdog watchdog("a storm of deaths");
    pool_options options = small_pool(workers, 5, 7);
    options.attempts = forkflow::nodes::max_attempts;
    options.testing.first_sequence = first;
    shared_value<std::atomic<std::uint32_t>> steps;
    engine<World> tested(options, [&](const passage& now) {
        if (now.here > step::initialised && now.here <= forkflow::nodes::last_worker_step &&
            steps->fetch_add(1) % every == every - 1) {
            World::die();
        }
    });
    constexpr std::size_t each = 150;
    std::vector<std::thread> producers;
    for (unsigned i = 1; i <= 2; ++i) {
        producers.emplace_back([&, i] {
            for (std::size_t k = 0; k < each; ++k) {
                tested.put(i);
            }
        });
    }
    const auto outcomes = tested.collect(2 * each);
    for (std::thread& producer : producers) {
        producer.join();
    }
    CHECK(faults(outcomes).empty());
    CHECK(std::none_of(outcomes.begin(), outcomes.end(), [](const auto& one) { return one.failed; }));
    const forkflow::statistics after = tested.statistics();
    CHECK(after.retries == extra_attempts(outcomes));
    CHECK(after.deaths >= 2 * each * 4 / every); // at least four steps a message
}

/// A message that kills each worker which takes it costs itself, after its attempts, and no other message
/// anything.
template <class World>
void a_deadly_message_costs_itself(unsigned attempts, std::size_t workers) {
    CAPTURE(attempts, workers);
    const engine_watchdog watchdog("a deadly message");
    pool_options options = small_pool(workers, 8, 8);
    options.attempts = attempts;
    engine<World> tested(options, {}, [](std::uint64_t index) {
        if (index % 10 == 4) {
            World::die();
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 30, outcomes);
    CHECK(faults(outcomes).empty());
    for (const seen_outcome& one : outcomes) {
        CAPTURE(one.index);
        CHECK(one.failed == (one.index % 10 == 4));
        CHECK((one.failed ? one.failure.attempts : one.attempts) == (one.failed ? attempts : 1));
    }
    CHECK(tested.deaths_become(std::uint64_t{3} * attempts));
    CHECK(tested.statistics().retries == std::uint64_t{3} * (attempts - 1));
}

/// worker_init throws in every worker: the pool fails, and so does what is and what will be put.
template <class World>
void a_pool_whose_workers_cannot_begin_fails() {
    const engine_watchdog watchdog("a failing worker_init");
    pool_options options = small_pool(2, 4, 4);
    options.worker_init = [] { throw std::runtime_error("no licence"); };
    engine<World> tested(options);
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 20, outcomes);
    for (const seen_outcome& one : outcomes) {
        CAPTURE(one.index, one.failure.what);
        REQUIRE(one.failure.kind == failure_kind::pool_failed);
        REQUIRE(one.failure.what.find("std::runtime_error: no licence") != std::string::npos);
    }
    CHECK(tested.statistics().failures == 20);
    CHECK(faults(outcomes).empty());
}

/// A body that hangs is ended when its deadline passes, attempt by attempt; others are not charged.
template <class World>
void a_hanging_message_times_out(unsigned attempts) {
    CAPTURE(attempts);
    const engine_watchdog watchdog("a hanging message");
    pool_options options = watched_pool(2, 8, 8);
    options.attempts = attempts;
    options.deadline = std::chrono::milliseconds(400);
    World* world = nullptr;
    engine<World> tested(options, {}, checking_body([&world](std::uint64_t index) {
                             if (index == 7 || index == 20) {
                                 world->linger();
                             }
                         }),
                         [&world](World& own) { world = &own; });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 30, outcomes);
    CHECK(faults(outcomes).empty());
    for (const seen_outcome& one : outcomes) {
        CAPTURE(one.index);
        REQUIRE(one.failed == (one.index == 7 || one.index == 20));
        if (one.failed) {
            CHECK(one.failure.kind == failure_kind::timed_out);
            CHECK(one.failure.attempts == attempts);
        }
    }
    CHECK(tested.statistics().deaths == 2 * attempts);
}

inline constexpr std::array steps_of_a_message = {step::claimed, step::admitted, step::written,
                                                  step::published, step::notified};

/// What is inside is withdrawn while a worker stands at `where`, before or after it has handed its message
/// in: all of it leaves in its place and once, nothing is retried, and what comes later is unharmed.
template <class World>
void a_withdrawal_ends_what_is_inside(step where) {
    CAPTURE(static_cast<int>(where));
    const engine_watchdog watchdog("a withdrawal");
    pool_options options = watched_pool(2, 8, 8);
    options.attempts = 5;
    options.kill_on_cancel = true;
    const shared_value<std::atomic<std::uint32_t>> reached;
    World* world = nullptr;
    engine<World> tested(
        options,
        [&](const passage& now) {
            if (now.here == where && now.count == 0) {
                reached->store(1);
                world->linger();
            }
        },
        checking_body(), [&world](World& own) { world = &own; });
    tested.put_many(8);
    REQUIRE(eventually([&] { return reached->load() == 1; }));
    tested.pool().withdraw();
    tested.put_many(8);
    const std::vector<seen_outcome> outcomes = tested.collect(16);
    CHECK(faults(outcomes).empty());
    for (const seen_outcome& one : outcomes) {
        CAPTURE(one.index, one.failure.what);
        REQUIRE((one.index < 8 || !one.failed));
    }
    CHECK(tested.statistics().retries == 0);
    CHECK(tested.statistics().in_flight == 0);
}

} // namespace forkflow_test
