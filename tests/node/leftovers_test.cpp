// SPDX-License-Identifier: MIT
// Nothing is left behind, whoever is killed, and the application's own ways with signals and children do not
// matter.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace leftovers_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::adopts_orphans;
using forkflow_test::all_children_end_within;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;
using outcome = std::variant<number, failure>;

number itself(number message) {
    return message;
}

::pid_t only_fork_server() {
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    return servers[0];
}

constexpr number workers_count = 3;

/// In a child: a node in the middle of its work, until somebody ends this process.
[[noreturn]] void work_for_ever(bool fork_in_body) {
    const forkflow_test::watchdog limit(200s);
    const shared_flags flags(2); // 0: how many bodies run; 1: never set
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number> node(graph, workers_count, [&](number message) {
        if (message % 7 == 0) {
            if (fork_in_body && ::fork() == 0) {
                for (;;) {
                    ::pause();
                }
            }
            flags.add(0);
            flags.wait_for(1);
        }
        return message;
    });
    for (number message = 0; message < 100; ++message) {
        node.try_put(message);
    }
    flags.wait_for(0, workers_count);
    forkflow_test::announce_readiness();
    for (;;) {
        ::pause();
    }
}

} // namespace

TEST_CASE("child: a node at work", "[.child]") {
    work_for_ever(false);
}

TEST_CASE("child: a node whose bodies fork", "[.child]") {
    work_for_ever(true);
}

TEST_CASE("kill -9 of the application leaves no process of forkflow after two seconds") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 5; ++round) {
        forkflow_test::child_test child("child: a node at work");
        REQUIRE(child.becomes_ready());
        REQUIRE(forkflow_test::descendants_of(child.pid()).size() == 1 + workers_count);
        ::kill(child.pid(), SIGKILL);
        CHECK(WTERMSIG(child.wait()) == SIGKILL);
        CHECK(all_children_end_within(2s));
    }
}

TEST_CASE("kill -9 of the application and of the fork server at once leaves no process of forkflow") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 5; ++round) {
        forkflow_test::child_test child("child: a node at work");
        REQUIRE(child.becomes_ready());
        const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(child.pid());
        REQUIRE(servers.size() == 1);
        // Stopped first, so that neither sees the other's death.
        ::kill(child.pid(), SIGSTOP);
        ::kill(servers[0], SIGSTOP);
        ::kill(servers[0], SIGKILL);
        ::kill(child.pid(), SIGKILL);
        CHECK(WTERMSIG(child.wait()) == SIGKILL);
        CHECK(all_children_end_within(2s));
    }
}

TEST_CASE("kill -9 of the application ends what its bodies forked as well") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    forkflow_test::child_test child("child: a node whose bodies fork");
    REQUIRE(child.becomes_ready());
    REQUIRE(forkflow_test::descendants_of(child.pid()).size() == 1 + 2 * workers_count);
    ::kill(child.pid(), SIGKILL);
    CHECK(WTERMSIG(child.wait()) == SIGKILL);
    CHECK(all_children_end_within(2s));
}

TEST_CASE("After kill -9 of the fork server every message fails in its place and nothing hangs") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    const shared_flags flags(2); // 0: how many bodies run; 1: never set
    {
        tbb::flow::graph graph;
        forkflow::ordered_process_node<number, outcome> node(graph, pool_options{.workers = 2, .window = 8},
                                                             [&](number message) {
                                                                 if (message >= 2) {
                                                                     flags.add(0);
                                                                     flags.wait_for(1);
                                                                 }
                                                                 return message;
                                                             });
        const recorder<outcome> results(graph, node);
        for (number message = 0; message < 30; ++message) {
            node.try_put(message);
        }
        flags.wait_for(0, 2);
        ::kill(only_fork_server(), SIGKILL);
        graph.wait_for_all();
        node.try_put(30);
        graph.wait_for_all();
        const std::vector<outcome> all = results.values();
        REQUIRE(all.size() == 31);
        for (number message = 0; message < 31; ++message) {
            CAPTURE(message);
            if (message < 2) {
                CHECK(std::get<number>(all[message]) == message);
            } else {
                const failure& found = std::get<failure>(all[message]);
                CHECK(found.kind == failure_kind::pool_failed);
                CHECK(found.sequence == message);
                CHECK(found.what.find("fork server") != std::string::npos);
            }
        }
    }
    CHECK(all_children_end_within(2s)); // the orphaned workers, which are ours now
}

TEST_CASE("After kill -9 of the fork server a node without a place for failures ends its graph") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    const shared_flags flags(2);
    {
        tbb::flow::graph graph;
        forkflow::ordered_process_node<number, number> node(graph, 2, [&](number message) {
            flags.add(0);
            flags.wait_for(1);
            return message;
        });
        for (number message = 0; message < 30; ++message) {
            node.try_put(message);
        }
        flags.wait_for(0, 2);
        ::kill(only_fork_server(), SIGKILL);
        try {
            graph.wait_for_all();
            FAIL("wait_for_all did not throw");
        } catch (const forkflow::process_error& error) {
            CHECK(error.details().kind == failure_kind::pool_failed);
        }
    }
    CHECK(all_children_end_within(2s));
}

TEST_CASE("Work goes on after kill -9 of all workers at once") {
    const bounded_test bounds;
    constexpr number rounds = 20;
    // For each round: how many bodies run, and whether they are released.
    const shared_flags running(rounds);
    const shared_flags released(rounds);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(
        graph, pool_options{.workers = workers_count, .window = 16}, [&](number message) {
            running.add(message / workers_count);
            released.wait_for(message / workers_count);
            return message;
        });
    const recorder<outcome> results(graph, node);
    for (number round = 0; round < rounds; ++round) {
        for (number i = 0; i < workers_count; ++i) {
            node.try_put(round * workers_count + i);
        }
        running.wait_for(round, workers_count);
        const std::vector<::pid_t> workers = forkflow_test::workers_of(::getpid());
        REQUIRE(workers.size() == workers_count);
        for (const ::pid_t worker : workers) {
            ::kill(worker, SIGKILL);
        }
        running.wait_for(round, 2 * workers_count); // in their second attempts
        released.set(round);
        results.wait_for(workers_count * (round + 1));
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == rounds * workers_count);
    for (number message = 0; message < rounds * workers_count; ++message) {
        CHECK(std::get<number>(all[message]) == message);
    }
    CHECK(node.statistics().deaths == rounds * workers_count);
    CHECK(node.statistics().retries == rounds * workers_count);
}

TEST_CASE("A node may be destroyed with messages in its workers") {
    const bounded_test bounds;
    const shared_flags flags(2);
    tbb::flow::graph graph;
    {
        forkflow::ordered_process_node<number, number> node(graph, 2, [&](number message) {
            flags.add(0);
            flags.wait_for(1);
            return message;
        });
        for (number message = 0; message < 100; ++message) {
            node.try_put(message);
        }
        flags.wait_for(0, 2);
    }
    graph.wait_for_all();
}

TEST_CASE("A node may be destroyed with messages on all stages of their way, once its graph is cancelled") {
    const bounded_test bounds;
    for (int round = 0; round < 50; ++round) {
        tbb::flow::graph graph;
        {
            forkflow::ordered_process_node<number, number> node(graph, 3, itself);
            const recorder<number> results(graph, node);
            for (number message = 0; message < 300; ++message) {
                node.try_put(message);
            }
            graph.cancel();
            graph.wait_for_all();
        }
    }
}

TEST_CASE("Two hundred nodes are made and destroyed, and nothing is left") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    for (number i = 0; i < 200; ++i) {
        forkflow::ordered_process_node<number, number> node(graph, 2, itself);
        if (i % 2 == 0) {
            const recorder<number> results(graph, node);
            node.try_put(i);
            graph.wait_for_all();
            REQUIRE(results.values() == std::vector<number>{i});
        }
    }
}

// ---------------------------------------------------------------------------------------------------------
// Applications with ways of their own

namespace {

/// A node at work while workers die, then destroyed.
void check_that_all_works() {
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(graph, 2, [](number message) {
        if (message % 50 == 49) {
            ::raise(SIGKILL);
        }
        return message;
    });
    const recorder<outcome> results(graph, node);
    constexpr number count = 200;
    for (number message = 0; message < count; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == count);
    for (number message = 0; message < count; ++message) {
        CAPTURE(message);
        REQUIRE(std::holds_alternative<failure>(all[message]) == (message % 50 == 49));
        if (message % 50 == 49) {
            CHECK(std::get<failure>(all[message]).signal == SIGKILL);
        }
    }
    CHECK(node.statistics().deaths == 2 * count / 50);
}

} // namespace

TEST_CASE("All works in an application that ignores SIGCHLD") {
    const bounded_test bounds;
    struct sigaction ignore {};
    struct sigaction before {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGCHLD, &ignore, &before);
    for (int round = 0; round < 5; ++round) {
        check_that_all_works();
    }
    ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_CASE("All works in an application that reaps all children in a thread of its own") {
    const bounded_test bounds;
    std::atomic<bool> done{false};
    std::thread reaper([&] {
        while (!done) {
            if (::waitpid(-1, nullptr, 0) == -1) { // no child at the moment
                std::this_thread::yield();
            }
        }
    });
    for (int round = 0; round < 5; ++round) {
        check_that_all_works();
    }
    done = true;
    reaper.join();
}

namespace {

volatile std::sig_atomic_t interrupts = 0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void count_interrupt(int /*signal*/) {
    interrupts = interrupts + 1;
}

} // namespace

// In a process group of its own, so that the interrupt reaches nobody else.
TEST_CASE("child: an interrupted node", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    struct sigaction action {};
    action.sa_handler = count_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    const shared_flags flags(2); // 0: how many bodies run; 1: released
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(graph, 2, [&](number message) {
        flags.add(0);
        flags.wait_for(1);
        return message;
    });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < 10; ++message) {
        node.try_put(message);
    }
    flags.wait_for(0, 2);
    const std::vector<::pid_t> workers = forkflow_test::workers_of(::getpid());
    REQUIRE(workers.size() == 2);
    REQUIRE(::kill(0, SIGINT) == 0); // as a terminal does
    for (const ::pid_t worker : workers) {
        REQUIRE(::kill(worker, SIGINT) == 0); // and even so
    }
    REQUIRE(::kill(only_fork_server(), SIGINT) == 0);
    flags.set(1);
    graph.wait_for_all();
    CHECK(interrupts == 1);
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 10);
    for (number message = 0; message < 10; ++message) {
        CHECK(std::get<number>(all[message]) == message);
    }
    CHECK(node.statistics().deaths == 0);
}

TEST_CASE("SIGINT to the process group leaves the workers to the parent's decision") {
    const bounded_test bounds;
    forkflow_test::child_test child("child: an interrupted node");
    CHECK(child.wait() == 0);
}

} // namespace leftovers_test
