// SPDX-License-Identifier: MIT
// What must hold when a relief dies, or the worker that it is about to relieve, or both at once; and when a
// worker dies that was condemned.
#pragma once

#include "engine_death_scenarios.hpp"

namespace forkflow_test {

/// A worker dies once it has found its claim condemned, before the kill comes. It is one death, and its
/// message is charged once.
template <class World>
void a_death_when_condemned_is_charged_once(moment when, std::size_t workers, unsigned attempts) {
    CAPTURE(static_cast<int>(when), workers, attempts);
    const engine_watchdog watchdog("a death of a condemned worker");
    struct shared_state {
        std::atomic<bool> overdue{false};   ///< the message has been taken by the worker that will be late
        std::atomic<bool> struck{false};    ///< the kill has been asked for
        std::atomic<bool> condemned{false}; ///< the late worker knows
    };
    shared_value<shared_state> state;
    const auto strike = [&state] {
        state->struck.store(true);
        while (!state->condemned.load()) {
            ::sched_yield();
        }
    };
    const auto inside = [&state, when](std::uint64_t index) {
        if (index == place_of(when) && !state->overdue.exchange(true)) {
            while (!state->struck.load()) {
                ::sched_yield();
            }
        }
    };
    const auto hook = [&state, strike](const passage& now) {
        if (now.here == step::condemned) {
            state->condemned.store(true);
            World::die();
        }
        if (now.here == step::server_asked && state->overdue.load()) {
            strike();
        }
    };
    pool_options options = watched_pool(workers, 8, 8);
    options.attempts = attempts;
    options.deadline = std::chrono::milliseconds(300);
    engine<World> tested(options, hook, checking_body(inside), [&](World& made) {
        if constexpr (requires { made.how.before_kill; }) {
            made.how.before_kill = [strike](std::uint32_t) { strike(); };
        }
    });
    REQUIRE(eventually([&] { return tested.world().passages(step::initialised) == workers; }));
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, stream_length, outcomes);
    REQUIRE(tested.deaths_become(1));
    put_and_collect(tested, 5, outcomes);
    CHECK(tested.world().passages(step::condemned) == 1);
    CHECK(faults(outcomes).empty());
    CHECK(extra_attempts(outcomes) == attempts - 1);
    CHECK(tested.statistics().retries == attempts - 1);
    for (const seen_outcome& one : outcomes) {
        const bool late = one.index == place_of(when);
        CHECK(one.failed == (late && attempts == 1));
        CHECK((!one.failed || one.failure.kind == failure_kind::timed_out));
        CHECK((one.failed || one.attempts == (late ? 2 : 1)));
    }
}

/// Who dies while a relief comes into being: the worker that is relieved, its relief, or both at once.
enum class casualty { relieved, relief, both };

struct relief_case {
    step relief_at;   ///< where the relief stands when somebody dies
    step relieved_at; ///< where the worker that it relieves stands
    casualty who;
    std::size_t workers;
};

/// Holds the first relief and the worker that it relieves at their steps until the test has decided.
class relief_theatre {
public:
    explicit relief_theatre(const relief_case& shown)
        : shown_(shown) {}

    /// The hook's part.
    template <class World>
    void pass(const passage& now) {
        const pid_t self = ::gettid();
        if (now.here == step::started && now.seat == shown_.workers && relief_.load() == 0) {
            relief_.store(self);
            wait_for(relief_may_begin_);
        }
        if (self == relief_.load()) {
            if (now.here == shown_.relief_at) {
                stand<World>(relief_there_, relief_goes_, shown_.who != casualty::relieved);
            }
        } else if (self == relieved_.load()) {
            if (now.here == shown_.relieved_at && !relieved_there_.load()) {
                stand<World>(relieved_there_, relieved_goes_, shown_.who != casualty::relief);
            }
        } else if (now.here == step::claimed && relieved_.load() != 0) {
            wait_for(relieved_there_); // one of the messages is left to the worker that is relieved
        }
    }
    /// The body's part: messages from `meeting_from` on wait until as many run as there are workers.
    void meet(std::uint64_t index) {
        if (index >= meeting_from_.load()) {
            present_.fetch_add(1);
            while (present_.load() < shown_.workers && !given_up_.load()) {
                ::sched_yield();
            }
        }
    }

    // The test's part.
    [[nodiscard]] bool has_relief() const { return relief_.load() != 0; }
    void name_relieved(pid_t task) { relieved_.store(task); }
    [[nodiscard]] bool relief_comes() {
        relief_may_begin_.store(true);
        return eventually([this] { return relief_there_.load(); });
    }
    [[nodiscard]] bool relieved_comes() {
        return eventually([this] { return relieved_there_.load(); });
    }
    void let_relief_go() { relief_goes_.store(true); }
    void let_relieved_go() { relieved_goes_.store(true); }
    void begin_meeting(std::uint64_t from) { meeting_from_.store(from); }
    [[nodiscard]] bool all_have_met() {
        const bool met = eventually([this] { return present_.load() >= shown_.workers; });
        given_up_.store(true);
        return met;
    }

private:
    static void wait_for(const std::atomic<bool>& what) {
        while (!what.load()) {
            ::sched_yield();
        }
    }
    template <class World>
    void stand(std::atomic<bool>& there, const std::atomic<bool>& goes, bool dies) {
        there.store(true);
        wait_for(goes);
        if (dies) {
            World::die();
        }
    }

    const relief_case shown_;
    std::atomic<pid_t> relief_{0};
    std::atomic<pid_t> relieved_{0};
    std::atomic<bool> relief_may_begin_{false};
    std::atomic<bool> relief_there_{false};
    std::atomic<bool> relief_goes_{false};
    std::atomic<bool> relieved_there_{false};
    std::atomic<bool> relieved_goes_{false};
    std::atomic<std::uint64_t> meeting_from_{~std::uint64_t{0}};
    std::atomic<std::uint32_t> present_{0};
    std::atomic<bool> given_up_{false};
};

/// Lets whom the case names die, and waits for what follows.
template <class World>
void let_die(engine<World>& tested, relief_theatre& theatre, casualty who) {
    if (who == casualty::relief) {
        theatre.let_relief_go();
    } else {
        theatre.let_relieved_go();
    }
    if (who == casualty::both) {
        theatre.let_relief_go();
    }
    REQUIRE(tested.deaths_become(who == casualty::both ? 2 : 1));
    theatre.let_relief_go();
    theatre.let_relieved_go();
}

/// Puts as many messages as there are workers, each of which ends once all run at the same time.
template <class World>
void all_workers_are_there(engine<World>& tested, relief_theatre& theatre, std::size_t workers,
                           std::vector<seen_outcome>& outcomes) {
    theatre.begin_meeting(outcomes.size());
    tested.put_many(workers);
    const bool met = theatre.all_have_met();
    auto last = tested.collect(workers);
    std::move(last.begin(), last.end(), std::back_inserter(outcomes));
    CHECK(met);
}

template <class World>
void a_death_around_a_relief_costs_nothing_but_an_attempt(const relief_case& shown) {
    CAPTURE(static_cast<int>(shown.relief_at), static_cast<int>(shown.relieved_at),
            static_cast<int>(shown.who), shown.workers);
    const engine_watchdog watchdog("a death around a relief");
    pool_options options =
        small_pool(shown.workers, shown.relieved_at == step::awaiting_admission ? 1 : 8, 8);
    options.recycle_after = 1;
    const shared_value<relief_theatre> theatre(shown);
    engine<World> tested(
        options, [&](const passage& now) { theatre->pass<World>(now); },
        [&](std::uint64_t index) { theatre->meet(index); });
    std::vector<seen_outcome> outcomes;
    while (!theatre->has_relief()) {
        put_and_collect(tested, 1, outcomes);
    }
    const std::uint32_t seat =
        rings_of(rings_key(), tested.pool()).order_for(static_cast<std::uint32_t>(shown.workers)).seat.load();
    theatre->name_relieved(tested.world().task(seat));

    std::size_t inside = 0;
    if (shown.relieved_at == step::leaving) { // which its relief must have told it to do
        REQUIRE(theatre->relief_comes());
        REQUIRE(theatre->relieved_comes());
    } else {
        inside = shown.workers + 1;
        tested.put_many(inside);
        REQUIRE(theatre->relieved_comes());
        REQUIRE(theatre->relief_comes());
    }
    let_die(tested, *theatre, shown.who);
    auto more = tested.collect(inside);
    std::move(more.begin(), more.end(), std::back_inserter(outcomes));
    put_and_collect(tested, 10, outcomes);
    all_workers_are_there(tested, *theatre, shown.workers, outcomes);

    CHECK(faults(outcomes).empty());
    const bool charged = shown.who != casualty::relief && holds_a_message(shown.relieved_at);
    CHECK(extra_attempts(outcomes) == (charged ? 1 : 0));
    const forkflow::statistics after = tested.statistics();
    CHECK(after.retries == (charged ? 1 : 0));
    CHECK(after.failures == 0);
    CHECK(after.deaths == (shown.who == casualty::both ? 2 : 1));
}

/// A relief has taken over and holds a later result than may leave, when the worker that it relieved dies of
/// the message that all wait for.
template <class World>
void a_message_left_to_a_blocked_relief_is_retried(std::size_t workers) {
    CAPTURE(workers);
    const engine_watchdog watchdog("a message left to a relief that waits for it");
    struct shared_state {
        std::atomic<bool> relief_may_begin{false};
        std::atomic<bool> runs{false};
        std::atomic<bool> dies{false};
    };
    shared_value<shared_state> state;
    const auto wait_for = [](const std::atomic<bool>& what) {
        while (!what.load()) {
            ::sched_yield();
        }
    };
    const auto hook = [&](const passage& now) {
        if (now.here == step::started && now.seat > 0) { // the worker in seat 0 is alone at first
            wait_for(state->relief_may_begin);
        }
    };
    const auto inside = [&](std::uint64_t index) {
        if (index == 1 && !state->runs.exchange(true)) {
            wait_for(state->dies);
            World::die();
        }
    };
    pool_options options = small_pool(workers, 1, 8);
    options.recycle_after = 1;
    engine<World> tested(options, hook, inside);
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 1, outcomes);
    tested.put_many(1 + workers); // the first of them, in the worker that is to be relieved
    REQUIRE(eventually([&] { return state->runs.load(); }));
    state->relief_may_begin.store(true);
    REQUIRE(eventually([&] { return tested.world().passages(step::awaiting_admission) == workers; }));
    state->dies.store(true);
    const bool retried = eventually([&] { return tested.world().passages(step::claimed) > 2 + workers; },
                                    std::chrono::seconds(30));
    if (!retried) {
        tested.world().kill(static_cast<std::uint32_t>(workers)); // so that the test ends
    }
    CHECK(retried);
    auto more = tested.collect(1 + workers);
    std::move(more.begin(), more.end(), std::back_inserter(outcomes));
    put_and_collect(tested, 20, outcomes);
    CHECK(faults(outcomes).empty());
    CHECK(outcomes[1].attempts == 2);
    CHECK(extra_attempts(outcomes) == 1);
    CHECK(tested.statistics().deaths == 1);
}

/// Every step of a relief with every step of the worker that it relieves.
template <class World>
void deaths_around_reliefs_cost_nothing_but_attempts(std::size_t workers, casualty who) {
    for (const step relief_at : {step::started, step::initialised, step::relieved}) {
        for (const step relieved_at : {step::claimed, step::awaiting_admission, step::admitted, step::written,
                                       step::published, step::notified, step::parking}) {
            a_death_around_a_relief_costs_nothing_but_an_attempt<World>(
                {relief_at, relieved_at, who, workers});
        }
    }
    a_death_around_a_relief_costs_nothing_but_an_attempt<World>(
        {step::relieved, step::leaving, who, workers});
}

} // namespace forkflow_test
