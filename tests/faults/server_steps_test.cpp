// SPDX-License-Identifier: MIT
// The fork server killed at each of its steps: every message that is or will be inside has one outcome, in
// its place, and nobody is left.
#include "support/engine_death_scenarios.hpp"
#include "support/leftovers.hpp"

namespace server_steps_test {

using namespace forkflow_test;

namespace {

/// What the fork server is at work on when it dies.
enum class errand {
    beginning,   ///< it starts the first worker
    replacement, ///< a worker died of a message
    execution,   ///< a worker has let its deadline pass
    relief       ///< a worker is to be recycled
};

struct server_death {
    step here;
    errand on;
    moment when = moment::first; ///< for replacement and execution: the message that brings it about
    std::size_t workers = 1;
};

/// Puts messages until one fails: a worker may finish one before the kernel has killed it.
void put_until_the_end_of_the_pool(engine<process_world>& tested, std::vector<seen_outcome>& outcomes) {
    do {
        put_and_collect(tested, 1, outcomes);
    } while (!outcomes.back().failed);
}

pool_options options_for(const server_death& death) {
    pool_options options = watched_pool(death.workers, 8, 8);
    options.deadline = std::chrono::milliseconds(death.on == errand::execution ? 300 : 0);
    options.recycle_after = death.on == errand::relief ? 3 : 0;
    return options;
}

void every_message_has_its_outcome_when_the_server_dies(const server_death& death) {
    CAPTURE(static_cast<int>(death.here), static_cast<int>(death.on), static_cast<int>(death.when),
            death.workers);
    shared_value<std::atomic<bool>> armed(death.on == errand::beginning);
    shared_value<std::atomic<bool>> struck;
    const auto hook = [&](const passage& now) {
        if (now.here == step::retiring && death.on == errand::relief) {
            armed->store(true);
        }
        if (now.here == death.here && armed->load()) {
            struck->store(true);
            process_world::die();
        }
    };
    const auto inside = [&](std::uint64_t index) {
        if (index == place_of(death.when) && death.on == errand::replacement) {
            armed->store(true);
            process_world::die();
        }
        if (index == place_of(death.when) && death.on == errand::execution) {
            armed->store(true);
            process_world::linger();
        }
    };
    engine<process_world> tested(options_for(death), hook, inside);
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, stream_length, outcomes);
    put_until_the_end_of_the_pool(tested, outcomes);
    const std::size_t inside_then = outcomes.size();
    put_and_collect(tested, 5, outcomes);

    CHECK(struck->load());
    CHECK(faults(outcomes).empty());
    CHECK(extra_attempts(outcomes) <= 1); // if the retried message was finished just in time
    for (const seen_outcome& outcome : outcomes) {
        CAPTURE(outcome.index, outcome.failure.what);
        CHECK((!outcome.failed || outcome.failure.kind == failure_kind::pool_failed));
        CHECK((outcome.index < inside_then || outcome.failed));
    }
    const forkflow::statistics after = tested.statistics();
    CHECK(after.emitted == outcomes.size());
    CHECK(after.results + after.failures == outcomes.size());
    CHECK(after.in_flight == 0);
}

} // namespace

TEST_CASE("A fork server killed while it starts the first workers fails every message") {
    const bounded_test frame;
    for (const step here : {step::server_started, step::server_asked, step::server_forked}) {
        for (const std::size_t workers : {1U, 3U}) {
            every_message_has_its_outcome_when_the_server_dies(
                {.here = here, .on = errand::beginning, .workers = workers});
        }
    }
}

TEST_CASE("A fork server killed while it replaces a worker loses no message") {
    const bounded_test frame;
    for (const step here :
         {step::server_reaped, step::server_told, step::server_asked, step::server_forked}) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                every_message_has_its_outcome_when_the_server_dies(
                    {.here = here, .on = errand::replacement, .when = when, .workers = workers});
            }
        }
    }
}

TEST_CASE("A fork server killed while it kills a worker loses no message") {
    const bounded_test frame;
    for (const step here :
         {step::server_asked, step::server_reaped, step::server_told, step::server_forked}) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                every_message_has_its_outcome_when_the_server_dies(
                    {.here = here, .on = errand::execution, .when = when, .workers = workers});
            }
        }
    }
}

TEST_CASE("A fork server killed while it starts a relief loses no message") {
    const bounded_test frame;
    for (const step here :
         {step::server_asked, step::server_forked, step::server_reaped, step::server_told}) {
        for (const std::size_t workers : {1U, 3U}) {
            every_message_has_its_outcome_when_the_server_dies(
                {.here = here, .on = errand::relief, .workers = workers});
        }
    }
}

} // namespace server_steps_test
