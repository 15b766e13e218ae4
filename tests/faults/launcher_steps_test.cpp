// SPDX-License-Identifier: MIT
// A forkflow::fork_server, and the fork servers that it makes, killed at each of their steps: what is asked
// for is refused or done, every message has one outcome in its place, pools go on while there is somebody to
// fork, and nobody is left.
#include "support/body_line.hpp"
#include "support/catch.hpp"
#include "support/engine_shared.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/nodes/steps.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <system_error>

#include <sys/wait.h>
#include <unistd.h>

namespace launcher_steps_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::fork_server;
using forkflow::pool_options;
using forkflow::nodes::step;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::kill_process_named;
using forkflow_test::number;
using forkflow_test::pool_server;
using forkflow_test::process_named;
using line = forkflow_test::body_line;

namespace {

/// Where a process is to die, once. In memory that all processes share that are forked later.
struct doom {
    static constexpr int nowhere = -1;
    std::atomic<int> here{nowhere};
    std::atomic<std::uint32_t> passages_before{0}; ///< so often the step is passed unharmed
    std::atomic<number> fatal_message{~number{0}}; ///< kills its first worker, and arms what follows
    std::atomic<int> then{nowhere};
    std::atomic<bool> struck{false};
    std::atomic<bool> launcher_waits{false}; ///< until the fork server that it just forked is dead, once
};

const forkflow_test::shared_value<doom> shared_doom; // made before the first fork_server

doom& planned() {
    return *shared_doom;
}

void plan(step here, std::uint32_t passages_before = 0) {
    planned().struck = false;
    planned().passages_before = passages_before;
    planned().here = static_cast<int>(here);
}

/// A message that kills its worker, and nobody else.
void plan_message(number fatal_message) {
    planned().struck = false;
    planned().passages_before = 0;
    planned().here = doom::nowhere;
    planned().then = doom::nowhere;
    planned().fatal_message = fatal_message;
}

void plan_with_message(step here, number fatal_message) {
    plan_message(fatal_message);
    planned().then = static_cast<int>(here);
}

/// The hook of all processes.
void pass(step here, std::uint32_t /*seat*/) {
    int expected = static_cast<int>(here);
    if (planned().here.load() != expected) {
        return;
    }
    if (planned().passages_before.load() > 0) {
        --planned().passages_before;
    } else if (planned().here.compare_exchange_strong(expected, doom::nowhere)) {
        planned().struck = true;
        ::raise(SIGKILL);
    }
}

number body(number message) {
    number expected = message;
    if (planned().fatal_message.compare_exchange_strong(expected, ~number{0})) {
        planned().here = planned().then.load();
        ::raise(SIGKILL);
    }
    return message;
}

pool_options options_with(fork_server& server, std::size_t workers = 2) {
    pool_options options{.workers = workers, .attempts = 4, .server = &server};
    options.testing.hook = pass;
    return options;
}

constexpr number count = 60;

void check_that_nobody_is_left() {
    CHECK(forkflow_test::comes_true_within(10s, [] { return process_named(pool_server) == 0; }));
}

/// A process may still be on its way to where it dies when its work is done.
bool has_struck() {
    return forkflow_test::comes_true_within(10s, [] { return planned().struck.load(); });
}

/// The pool has lived through the death.
void check_that_all_is_done(line& tested, number from, std::size_t workers) {
    tested.put(from, from + count);
    tested.finish();
    CHECK(has_struck());
    CHECK(tested.fault(from + count, itself) == "");
    const forkflow::statistics after = tested.statistics();
    CHECK(after.results == from + count);
    CHECK(after.emitted == from + count);
    CHECK(after.in_flight == 0);
    CHECK(after.retries <= 2 * workers + 1);
}

} // namespace

TEST_CASE("A fork_server killed while it makes a pool's fork server refuses the node, or the node lives") {
    const bounded_test bounds;
    for (const step here : {step::launcher_asked, step::launcher_forked}) {
        CAPTURE(static_cast<int>(here));
        plan(here);
        fork_server early;
        CHECK_THROWS_AS(line(options_with(early), body), std::system_error);
        CHECK(has_struck());
        check_that_nobody_is_left();
    }
    {
        plan(step::launcher_answered);
        fork_server early;
        line made(options_with(early), body);
        check_that_all_is_done(made, 0, 2);
        CHECK_THROWS_AS(line(options_with(early), body), std::system_error); // there is nobody to ask
    }
    check_that_nobody_is_left();
}

TEST_CASE(
    "A fork_server killed while it makes up for a pool's fork server fails the pool, or the pool goes on") {
    const bounded_test bounds;
    for (const step here : {step::launcher_asked, step::launcher_forked, step::launcher_answered}) {
        CAPTURE(static_cast<int>(here));
        planned().here = doom::nowhere;
        fork_server early;
        line tested(options_with(early), body);
        tested.put(0, count);
        tested.finish();
        plan(here);
        REQUIRE(kill_process_named(pool_server));
        if (here == step::launcher_answered) {
            check_that_all_is_done(tested, count, 2);
            continue;
        }
        tested.put(count, 2 * count);
        tested.finish();
        CHECK(has_struck());
        CHECK(tested.fault(2 * count, itself, [](number message, const failure& found) {
            return message >= count && found.kind == failure_kind::pool_failed;
        }) == "");
        CHECK(tested.statistics().emitted == 2 * count);
    }
    check_that_nobody_is_left();
}

TEST_CASE("A pool's fork server killed while it starts the first workers is made up for") {
    const bounded_test bounds;
    fork_server early;
    for (const step here : {step::server_started, step::server_asked, step::server_forked}) {
        for (const std::size_t workers : {1U, 3U}) {
            for (const std::uint32_t passages_before : {0U, 1U}) { // the second server is not killed
                if (passages_before > 0 && (workers == 1 || here == step::server_started)) {
                    continue;
                }
                CAPTURE(static_cast<int>(here), workers, passages_before);
                plan(here, passages_before);
                line tested(options_with(early, workers), body);
                check_that_all_is_done(tested, 0, workers);
            }
        }
    }
    check_that_nobody_is_left();
}

TEST_CASE("A pool's fork server that is dead before the fork_server has taken hold of it is made up for") {
    const bounded_test bounds;
    {
        fork_server early;
        pool_options options = options_with(early);
        options.testing.hook = +[](step here, std::uint32_t seat) {
            if (here == step::launcher_forked && planned().launcher_waits.exchange(false)) {
                siginfo_t ended{};
                ::waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT);
            }
            pass(here, seat);
        };
        plan(step::server_started);
        planned().launcher_waits = true;
        line tested(options, body);
        check_that_all_is_done(tested, 0, 2);
    }
    check_that_nobody_is_left();
}

TEST_CASE("A pool's fork server killed while it replaces a worker is made up for, and no message is lost") {
    const bounded_test bounds;
    fork_server early;
    for (const step here :
         {step::server_reaped, step::server_told, step::server_asked, step::server_forked}) {
        for (const number when : {number{0}, count / 2, count - 1}) {
            for (const std::size_t workers : {1U, 3U}) {
                CAPTURE(static_cast<int>(here), when, workers);
                plan_with_message(here, when);
                line tested(options_with(early, workers), body);
                check_that_all_is_done(tested, 0, workers);
                // And the new one replaces workers as the former did.
                plan_message(count);
                tested.put(count, 2 * count);
                tested.finish();
                CHECK(tested.fault(2 * count, itself) == "");
            }
        }
    }
    planned().here = doom::nowhere;
    check_that_nobody_is_left();
}

TEST_CASE("A pool's fork server killed while it kills a hung worker is made up for") {
    const bounded_test bounds;
    fork_server early;
    for (const step here :
         {step::server_asked, step::server_reaped, step::server_told, step::server_forked}) {
        for (const number when : {number{0}, count / 2, count - 1}) {
            for (const std::size_t workers : {1U, 3U}) {
                CAPTURE(static_cast<int>(here), when, workers);
                plan_with_message(here, when);
                pool_options options = options_with(early, workers);
                options.deadline = 200ms;
                line tested(options, [](number message) {
                    number expected = message;
                    if (planned().fatal_message.compare_exchange_strong(expected, ~number{0})) {
                        planned().here = planned().then.load();
                        ::pause();
                    }
                    return message;
                });
                check_that_all_is_done(tested, 0, workers);
            }
        }
    }
    check_that_nobody_is_left();
}

TEST_CASE("A pool's fork server killed while it starts a relief is made up for") {
    const bounded_test bounds;
    fork_server early;
    for (const step here :
         {step::server_asked, step::server_forked, step::server_reaped, step::server_told}) {
        for (const std::size_t workers : {1U, 3U}) {
            CAPTURE(static_cast<int>(here), workers);
            pool_options options = options_with(early, workers);
            options.recycle_after = 5;
            planned().here = doom::nowhere;
            line tested(options, body);
            tested.put(0, 1); // the first workers are there, at least one of them
            tested.finish();
            plan(here);
            number put = 1;
            while (!planned().struck.load()) {
                tested.put(put, put + count);
                tested.finish();
                put += count;
            }
            check_that_all_is_done(tested, put, workers);
        }
    }
    check_that_nobody_is_left();
}

} // namespace launcher_steps_test
