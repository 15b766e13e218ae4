// SPDX-License-Identifier: MIT
// The protocol over workers that are threads: the same scenarios as over processes, seen by the thread
// sanitizer.
#include "support/engine_death_scenarios.hpp"

#include <unistd.h>

namespace protocol_threads_test {

using namespace forkflow_test;
using world = thread_world;

TEST_CASE("Over threads, messages of several producers leave in arrival order, once each") {
    for (const std::size_t workers : {1U, 2U, 3U, 4U}) {
        a_stream_arrives_whole_and_in_order<world>({workers, 8, 8, 3, 500});
    }
}

TEST_CASE("Over threads, the smallest and the most unequal bounds do") {
    for (const std::size_t workers : {1U, 2U, 4U}) {
        a_stream_arrives_whole_and_in_order<world>({workers, 1, 1, 2, 200});
        a_stream_arrives_whole_and_in_order<world>({workers, 1, 64, 2, 200});
        a_stream_arrives_whole_and_in_order<world>({workers, 64, 1, 2, 200});
        a_stream_arrives_whole_and_in_order<world>({workers, 5, 7, 2, 200});
    }
}

TEST_CASE("Over threads, sequences wrap unnoticed") {
    for (const sequence first : {0U - 1, 0U - 300, 0x80000000U - 300}) {
        a_stream_arrives_whole_and_in_order<world>({3, 6, 11, 2, 300, first});
    }
}

TEST_CASE("Over threads, markers keep their place among messages") {
    markers_keep_their_place_among_messages<world>();
}

TEST_CASE("Over threads, requests and window bound what is inside") {
    at_most_requests_run_and_at_most_window_wait<world>();
    results_wait_for_admission_beyond_the_window<world>();
}

TEST_CASE("Over threads, nobody sleeps with work to do when messages are committed out of order") {
    messages_committed_out_of_order_run_at_the_same_time<world>();
}

TEST_CASE("Over threads, a gap among the numbers that is filled wakes who waited behind it") {
    for (const bool by_marker : {true, false}) {
        a_filled_gap_wakes_who_waited_behind_it<world>(by_marker);
    }
}

TEST_CASE("Over threads, a message wakes at most one worker") {
    a_message_wakes_at_most_one_worker<world>();
}

TEST_CASE("Over threads, what a body throws and what does not fit are failures in their place") {
    what_a_body_throws_becomes_a_failure_in_its_place<world>();
    what_does_not_fit_becomes_a_failure_in_its_place<world>();
}

TEST_CASE("Over threads, recycling loses nothing") {
    for (const std::size_t workers : {1U, 3U}) {
        workers_are_replaced_after_their_share_of_messages<world>(workers, 1);
        workers_are_replaced_after_their_share_of_messages<world>(workers, 7);
    }
}

TEST_CASE("Over threads, a pool ends at any time") {
    a_pool_ends_while_everything_is_in_flight<world>();
}

TEST_CASE("Over threads, a death at any step of any message costs at most an attempt") {
    for (const step here : steps_of_a_message_or_a_life) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                one_death_costs_nothing_but_an_attempt<world>(here, when, workers, 2);
                one_death_costs_nothing_but_an_attempt<world>(here, when, workers, 1);
            }
        }
    }
}

TEST_CASE("Over threads, a death without work costs nothing") {
    for (const step here : steps_without_work) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                a_death_without_work_costs_nothing<world>(here, when, workers);
            }
        }
    }
    all_may_die_in_their_sleep<world>();
}

TEST_CASE("Over threads, a death while waiting for admission is retried") {
    for (const bool asleep : {false, true}) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                a_death_while_blocked_is_retried<world>(asleep, when, workers);
            }
        }
    }
}

TEST_CASE("Over threads, a storm of deaths loses nothing") {
    for (const std::uint32_t every : {11U, 29U, 97U}) {
        a_storm_of_deaths_loses_nothing<world>(1, every, 0);
        a_storm_of_deaths_loses_nothing<world>(4, every, 0U - 100);
    }
}

TEST_CASE("Over threads, a deadly message costs itself") {
    for (const unsigned attempts : {1U, 2U, 3U}) {
        a_deadly_message_costs_itself<world>(attempts, 1);
        a_deadly_message_costs_itself<world>(attempts, 3);
    }
}

TEST_CASE("Over threads, a pool whose workers cannot begin fails every message") {
    a_pool_whose_workers_cannot_begin_fails<world>();
}

TEST_CASE("Over threads, a hanging message times out alone") {
    a_hanging_message_times_out<world>(1);
    a_hanging_message_times_out<world>(2);
}

TEST_CASE("Over threads, a withdrawal at each step of a message ends what is inside, and nothing else") {
    for (const step where : steps_of_a_message) {
        a_withdrawal_ends_what_is_inside<world>(where);
    }
}

TEST_CASE("A worker that finishes when its deadline has struck takes no further message") {
    const engine_watchdog watchdog("a late worker");
    std::atomic<bool> finish{false};
    pool_options options = watched_pool(1, 8, 8);
    options.attempts = 1;
    options.deadline = std::chrono::milliseconds(500);
    const auto inside = [&](std::uint64_t index) {
        while (index == 0 && !finish.load()) { // overdue, until the decision to kill has been made
            ::sched_yield();
        }
    };
    // Between decision and death the worker finishes its message, and cannot hand it in.
    const auto arrange = [&](world& made) {
        made.how.before_kill = [&](std::uint32_t) {
            finish.store(true);
            while (made.passages(step::condemned) == 0) {
                ::sched_yield();
            }
        };
    };
    engine<world> tested(options, {}, checking_body(inside), arrange);
    tested.put_many(2);
    const auto outcomes = tested.collect(2);
    CHECK(faults(outcomes).empty());
    REQUIRE(outcomes[0].failed);
    CHECK(outcomes[0].failure.kind == failure_kind::timed_out);
    CHECK_FALSE(outcomes[1].failed);
    CHECK(outcomes[1].attempts == 1);
    CHECK(tested.statistics().deaths == 1);
    CHECK(tested.statistics().retries == 0);
}

TEST_CASE("A wake that is not given is missed, and only made good if somebody looks: so tests without looks "
          "see it") {
    for (const bool looks : {false, true}) {
        CAPTURE(looks);
        const engine_watchdog watchdog("a wake that is held back");
        gate body_may_end;
        gate ring_may_be_given;
        pool_options options = small_pool(1, 4, 4);
        options.testing.looks = looks;
        engine<world> tested(
            options,
            [&](const passage& now) {
                if (now.here == step::published && now.count == 0) { // handed in; nobody was rung
                    ring_may_be_given.pass();
                }
            },
            [&](std::uint64_t) { body_may_end.pass(); });
        const opened_at_end open_body(body_may_end);
        const opened_at_end open_ring(ring_may_be_given);
        tested.put();
        std::atomic<bool> collected{false};
        std::atomic<::pid_t> collecting{0};
        std::vector<seen_outcome> outcomes;
        std::thread collector([&] {
            collecting = ::gettid();
            outcomes = tested.collect(1);
            collected.store(true);
        });
        const auto& armed = rings_of(rings_key(), tested.pool()).parent().armed;
        const bool rests =
            eventually([&] { // it has said that it waits for the ring, has looked again, and waits
                return (armed.load() & forkflow::nodes::arm_bit) != 0 && is_asleep(collecting);
            });
        body_may_end.open();
        const bool came = eventually([&] { return collected.load(); }, std::chrono::seconds(looks ? 60 : 2));
        const std::uint32_t rings_given = tested.world().passages(step::notified);
        ring_may_be_given.open();
        collector.join();
        CHECK(rests);
        CHECK(came == looks);
        CHECK(rings_given == 0);
        CHECK(faults(outcomes).empty());
    }
}

TEST_CASE("A worker that cannot be made is asked for again, and not for ever") {
    const engine_watchdog watchdog("refused workers");
    SECTION("a few refusals delay") {
        engine<world> tested(small_pool(2, 4, 4), {}, checking_body(),
                             [](world& own) { own.how.refusals = 4; });
        std::vector<seen_outcome> outcomes;
        put_and_collect(tested, 20, outcomes);
        CHECK(faults(outcomes).empty());
        CHECK(tested.statistics().results == 20);
    }
    SECTION("refusals without end are the end of the pool") {
        engine<world> tested(small_pool(2, 4, 4), {}, checking_body(),
                             [](world& own) { own.how.refusals = 1000; });
        std::vector<seen_outcome> outcomes;
        put_and_collect(tested, 20, outcomes);
        CHECK(tested.statistics().failures == 20);
        CHECK(outcomes[0].failure.kind == failure_kind::pool_failed);
        CHECK(outcomes[0].failure.what.find("fork") != std::string::npos);
    }
}

} // namespace protocol_threads_test
