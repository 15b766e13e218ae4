// SPDX-License-Identifier: MIT
// The protocol over workers that are processes, and killed as such: the same scenarios as over threads, and
// that nothing is left behind.
#include "support/engine_death_scenarios.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

namespace protocol_processes_test {

using namespace forkflow_test;
using world = process_world;

namespace {

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t threads() {
    const std::filesystem::directory_iterator all("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Checks at its end that all children are gone and reaped, orphans among them, and all descriptors closed.
class nothing_is_left_behind {
public:
    nothing_is_left_behind() {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1); // an orphan becomes our child, so that it shows
    }
    ~nothing_is_left_behind() {
        siginfo_t child{};
        CHECK(::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == -1);
        CHECK(errno == ECHILD);
        CHECK(open_descriptors() == descriptors_);
        CHECK(threads() == threads_);
    }
    nothing_is_left_behind(const nothing_is_left_behind&) = delete;
    nothing_is_left_behind& operator=(const nothing_is_left_behind&) = delete;

private:
    std::size_t descriptors_ = open_descriptors();
    std::size_t threads_ = threads();
};

/// What the kernel says about this process; empty if it is gone.
std::string status_of(pid_t process, const std::string& field) {
    std::ifstream file("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(field + ":\t")) {
            return line.substr(field.size() + 2);
        }
    }
    return "";
}

/// The process that started this worker.
pid_t parent_of(pid_t process) {
    const std::string pid = status_of(process, "PPid");
    return pid.empty() ? -1 : static_cast<pid_t>(std::stoi(pid));
}

} // namespace

TEST_CASE("Messages of several producers leave in arrival order, once each") {
    const nothing_is_left_behind check;
    for (const std::size_t workers : {1U, 2U, 3U, 4U}) {
        a_stream_arrives_whole_and_in_order<world>({workers, 8, 8, 3, 2000});
    }
}

TEST_CASE("The smallest and the most unequal bounds do") {
    const nothing_is_left_behind check;
    for (const std::size_t workers : {1U, 2U, 4U}) {
        a_stream_arrives_whole_and_in_order<world>({workers, 1, 1, 2, 500});
        a_stream_arrives_whole_and_in_order<world>({workers, 1, 64, 2, 500});
        a_stream_arrives_whole_and_in_order<world>({workers, 64, 1, 2, 500});
        a_stream_arrives_whole_and_in_order<world>({workers, 5, 7, 2, 500});
    }
}

TEST_CASE("Sequences wrap unnoticed") {
    const nothing_is_left_behind check;
    for (const sequence first : {0U - 1, 0U - 300, 0x80000000U - 300}) {
        a_stream_arrives_whole_and_in_order<world>({3, 6, 11, 2, 300, first});
    }
}

TEST_CASE("Markers keep their place among messages") {
    const nothing_is_left_behind check;
    markers_keep_their_place_among_messages<world>();
}

TEST_CASE("Requests and window bound what is inside") {
    const nothing_is_left_behind check;
    at_most_requests_run_and_at_most_window_wait<world>();
    results_wait_for_admission_beyond_the_window<world>();
}

TEST_CASE("Nobody sleeps with work to do when messages are committed out of order") {
    const nothing_is_left_behind check;
    messages_committed_out_of_order_run_at_the_same_time<world>();
}

TEST_CASE("A gap among the numbers that is filled wakes who waited behind it") {
    const nothing_is_left_behind check;
    for (const bool by_marker : {true, false}) {
        a_filled_gap_wakes_who_waited_behind_it<world>(by_marker);
    }
}

TEST_CASE("A message wakes at most one worker") {
    const nothing_is_left_behind check;
    a_message_wakes_at_most_one_worker<world>();
}

TEST_CASE("What a body throws and what does not fit are failures in their place") {
    const nothing_is_left_behind check;
    what_a_body_throws_becomes_a_failure_in_its_place<world>();
    what_does_not_fit_becomes_a_failure_in_its_place<world>();
}

TEST_CASE("Recycling loses nothing") {
    const nothing_is_left_behind check;
    for (const std::size_t workers : {1U, 3U}) {
        workers_are_replaced_after_their_share_of_messages<world>(workers, 1);
        workers_are_replaced_after_their_share_of_messages<world>(workers, 7);
    }
}

TEST_CASE("A pool ends at any time") {
    const nothing_is_left_behind check;
    a_pool_ends_while_everything_is_in_flight<world>();
}

TEST_CASE("A worker killed at any step of any message costs at most an attempt") {
    const nothing_is_left_behind check;
    for (const step here : steps_of_a_message_or_a_life) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                one_death_costs_nothing_but_an_attempt<world>(here, when, workers, 2);
                one_death_costs_nothing_but_an_attempt<world>(here, when, workers, 1);
            }
        }
    }
}

TEST_CASE("A worker killed without work costs nothing") {
    const nothing_is_left_behind check;
    for (const step here : steps_without_work) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                a_death_without_work_costs_nothing<world>(here, when, workers);
            }
        }
    }
    all_may_die_in_their_sleep<world>();
}

TEST_CASE("A message whose worker is killed while it waits for admission is retried") {
    const nothing_is_left_behind check;
    for (const bool asleep : {false, true}) {
        for (const moment when : {moment::first, moment::middle, moment::last}) {
            for (const std::size_t workers : {1U, 3U}) {
                a_death_while_blocked_is_retried<world>(asleep, when, workers);
            }
        }
    }
}

TEST_CASE("A storm of kills loses nothing") {
    const nothing_is_left_behind check;
    for (const std::uint32_t every : {11U, 29U, 97U}) {
        a_storm_of_deaths_loses_nothing<world>(1, every, 0);
        a_storm_of_deaths_loses_nothing<world>(4, every, 0U - 100);
    }
}

TEST_CASE("A deadly message costs itself") {
    const nothing_is_left_behind check;
    for (const unsigned attempts : {1U, 2U, 3U}) {
        a_deadly_message_costs_itself<world>(attempts, 1);
        a_deadly_message_costs_itself<world>(attempts, 3);
    }
}

TEST_CASE("A pool whose workers cannot begin fails every message") {
    const nothing_is_left_behind check;
    a_pool_whose_workers_cannot_begin_fails<world>();
}

TEST_CASE("A hanging message times out alone") {
    const nothing_is_left_behind check;
    a_hanging_message_times_out<world>(1);
    a_hanging_message_times_out<world>(2);
}

TEST_CASE("A withdrawal at each step of a message ends what is inside, and nothing else") {
    const nothing_is_left_behind check;
    for (const step where : steps_of_a_message) {
        a_withdrawal_ends_what_is_inside<world>(where);
    }
}

TEST_CASE("A stopped worker is killed when its deadline passes, and cannot come back") {
    const nothing_is_left_behind check;
    const engine_watchdog watchdog("a stopped worker");
    pool_options options = watched_pool(2, 8, 8);
    options.deadline = std::chrono::milliseconds(400);
    shared_value<std::atomic<bool>> stopped;
    engine<world> tested(options, {}, [&](std::uint64_t index) {
        if (index == 5 && !stopped->exchange(true)) {
            ::raise(SIGSTOP);
        }
    });
    std::vector<seen_outcome> outcomes;
    put_and_collect(tested, 30, outcomes);
    CHECK(faults(outcomes).empty());
    CHECK(outcomes[5].attempts == 2);
    CHECK(extra_attempts(outcomes) == 1);
}

TEST_CASE("A pool's only worker that is stopped in its sleep is replaced, and costs no attempt") {
    const nothing_is_left_behind check;
    // Without a deadline, who stands still is looked at after 1, 2, 4, … seconds.
    for (const int deadline_ms : {300, 0}) {
        CAPTURE(deadline_ms);
        const engine_watchdog watchdog("a worker stopped in its sleep", std::chrono::seconds(60));
        pool_options options = watched_pool(1, 8, 8);
        options.deadline = std::chrono::milliseconds(deadline_ms);
        engine<world> tested(options);
        std::vector<seen_outcome> outcomes;
        put_and_collect(tested, 3, outcomes);
        const pid_t sleeper = tested.world().task(0);
        const auto& idle = rings_of(rings_key(), tested.pool()).idle_seats().words[0];
        REQUIRE(eventually([&] { return idle.load() == 1 && tested.world().asleep(0); }));
        ::kill(sleeper, SIGSTOP);
        REQUIRE(eventually([&] { return status_of(sleeper, "State").starts_with("T"); }));
        CHECK(tested.statistics().deaths == 0); // nobody is killed for his sleep
        put_and_collect(tested, 1, outcomes);
        CHECK(tested.world().task(0) != sleeper);
        CHECK(tested.statistics().deaths == 1);
        put_and_collect(tested, 20, outcomes);
        CHECK(faults(outcomes).empty());
        CHECK(std::none_of(outcomes.begin(), outcomes.end(), [](const auto& one) { return one.failed; }));
        CHECK(extra_attempts(outcomes) == 0);
        CHECK(tested.statistics().deaths == 1);
    }
}

TEST_CASE("When the fork server is killed, no worker outlives it, and every message fails") {
    const nothing_is_left_behind check;
    const engine_watchdog watchdog("the death of the fork server");
    for (const bool busy : {false, true}) {
        shared_value<gate> go;
        engine<world> tested(small_pool(3, 8, 8), {}, [&](std::uint64_t index) {
            if (index >= 10) {
                go->pass();
            }
        });
        const opened_at_end open(*go);
        std::vector<seen_outcome> outcomes;
        put_and_collect(tested, 10, outcomes);
        CHECK(faults(outcomes).empty());
        REQUIRE(eventually([&] { return tested.world().passages(step::initialised) == 3; }));
        const pid_t server = parent_of(tested.world().task(0));
        REQUIRE(server > 1);
        REQUIRE(server != ::getpid());
        tested.put_many(busy ? 8 : 0);
        ::kill(server, SIGKILL);
        if (!busy) {
            tested.put_many(8);
        }
        const auto failed = tested.collect(8);
        for (const seen_outcome& outcome : failed) {
            // A worker may be quick; then its result counts. None is lost.
            CHECK((outcome.failed ? outcome.failure.kind == failure_kind::pool_failed : !busy));
            CHECK(outcome.fault.empty());
        }
        for (std::uint32_t seat = 0; seat < 3; ++seat) {
            const pid_t orphan =
                tested.world().task(seat); // a child of ours now, if it has not been reaped yet
            REQUIRE(eventually([&] {
                ::waitpid(orphan, nullptr, WNOHANG);
                return ::kill(orphan, 0) == -1 && errno == ESRCH;
            }));
        }
    }
}

TEST_CASE("When the application is killed, fork server and workers are gone") {
    const nothing_is_left_behind check;
    const engine_watchdog watchdog("the death of the application");
    struct family {
        std::atomic<pid_t> server{0};
        std::atomic<pid_t> workers[3];
        std::atomic<std::uint32_t> ready{0};
    };
    shared_value<family> members;
    const pid_t application = ::fork();
    if (application == 0) {
        engine<world> tested(small_pool(3, 8, 8), {}, [&](std::uint64_t) { ::pause(); });
        tested.put_many(2); // two run, one sleeps
        while (tested.world().passages(step::claimed) < 2 || tested.world().passages(step::parking) < 1) {
            ::sched_yield();
        }
        for (std::uint32_t seat = 0; seat < 3; ++seat) {
            members->workers[seat] = tested.world().task(seat);
        }
        members->server = parent_of(tested.world().task(0));
        members->ready = 1;
        for (;;) {
            ::pause();
        }
    }
    REQUIRE(eventually([&] { return members->ready.load() == 1; }));
    ::kill(application, SIGKILL);
    CHECK(::waitpid(application, nullptr, 0) == application);
    const pid_t server = members->server.load();
    REQUIRE(server > 1);
    CHECK(::waitpid(server, nullptr, 0) == server); // an orphan became our child; it ends by itself
    for (const auto& worker : members->workers) {
        CHECK(::kill(worker.load(), 0) == -1); // reaped by the fork server before it went
    }
}

} // namespace protocol_processes_test
