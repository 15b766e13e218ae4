// SPDX-License-Identifier: MIT
// kill -9 at moments that nobody chose: of the fork server while it starts workers, of the application while
// it makes, uses and ends nodes.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"

#include <chrono>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace kills_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::adopts_orphans;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;

namespace {

/// Any moment is right: this spreads them.
void wait_up_to(std::chrono::microseconds most) {
    static std::mt19937 random(
        20); // NOLINT(cert-msc51-cpp): the same moments each time, as far as they can be
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::microseconds(std::uniform_int_distribution<long>(0, most.count())(random));
    while (std::chrono::steady_clock::now() < end) {
    }
}

void kill_fork_server() {
    for (const ::pid_t server : forkflow_test::fork_servers_of(::getpid())) {
        ::kill(server, SIGKILL);
    }
}

} // namespace

TEST_CASE("kill -9 of the fork server while it starts the first workers fails messages and loses none") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 60; ++round) {
        number_line line(pool_options{.workers = 8}, itself);
        line.put(0, 20);
        wait_up_to(3ms);
        kill_fork_server();
        line.put(20, 40);
        line.finish();
        REQUIRE(line.fault(40, forkflow_test::pool_failed) == "");
        REQUIRE(line.outcomes()[39].index() <= 1);
    }
    CHECK(forkflow_test::all_children_end_within(2s));
}

TEST_CASE("kill -9 of the fork server while it replaces workers fails messages and loses none") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 30; ++round) {
        number_line line(pool_options{.workers = 3, .recycle_after = 1}, itself);
        line.put(0, 400);
        line.wait_for(10);
        wait_up_to(5ms);
        kill_fork_server();
        line.finish();
        REQUIRE(line.fault(400, forkflow_test::pool_failed) == "");
    }
    CHECK(forkflow_test::all_children_end_within(2s));
}

TEST_CASE("kill -9 of fork server and workers at once, and of an idle node's, fails what comes later") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (const bool workers_too : {false, true}) {
        number_line line(pool_options{.workers = 3}, itself);
        line.put(0, 100);
        line.finish();
        const std::vector<::pid_t> workers = forkflow_test::workers_of(::getpid());
        kill_fork_server();
        for (const ::pid_t worker : workers) {
            if (workers_too) {
                ::kill(worker, SIGKILL);
            }
        }
        number next = 100;
        do { // until the kill has been carried out and heard of
            line.put(next, next + 10);
            next += 10;
            line.finish();
        } while (line.outcomes().back().index() == 0);
        CHECK(line.fault(next, [](number message, const failure& found) {
            return message >= 100 && found.kind == failure_kind::pool_failed;
        }) == "");
    }
    CHECK(forkflow_test::all_children_end_within(2s));
}

TEST_CASE("child: nodes are made and ended for ever", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    forkflow_test::start_tbb_threads();
    forkflow_test::announce_readiness();
    for (;;) {
        number_line line(pool_options{.workers = 3, .recycle_after = 2}, itself);
        line.put(0, 20);
        line.wait_for(10);
    }
}

TEST_CASE("kill -9 of the application at any moment leaves no process") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 25; ++round) {
        forkflow_test::child_test child("child: nodes are made and ended for ever");
        REQUIRE(child.becomes_ready());
        wait_up_to(30ms);
        ::kill(child.pid(), SIGKILL);
        CHECK(WTERMSIG(child.wait()) == SIGKILL);
        CHECK(forkflow_test::all_children_end_within(2s));
    }
}

} // namespace kills_test
