// SPDX-License-Identifier: MIT
// Where an Output holds no failure: what comes out of wait_for_all, and that the node works again after a
// reset.
#include "support/catch.hpp"
#include "support/fates.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace process_error_test {

using forkflow::failure;
using forkflow::failure_kind;
using namespace forkflow_test;

namespace {

/// Runs one message with this fate through a node whose Output holds no failure; then, after a reset, a good
/// one. Gives what wait_for_all threw.
failure error_of(fate what) {
    tbb::flow::graph graph;
    forkflow::ordered_process_node<order, result> node(graph, 2, meet);
    const recorder<result> results(graph, node);
    failure found;
    for (std::uint32_t number = 0; number < 20; ++number) {
        node.try_put({.what = number == 3 ? what : fate::well, .number = number});
    }
    try {
        graph.wait_for_all();
        FAIL("wait_for_all did not throw");
    } catch (const forkflow::process_error& error) {
        found = error.details();
        CHECK(std::string(error.what()).find(forkflow::describe(found)) != std::string::npos);
        CHECK(std::string(error.what()).find("forkflow_test_") != std::string::npos);
    }
    CHECK(graph.is_cancelled());
    CHECK(graph.exception_thrown());
    CHECK(results.values() == std::vector<result>{0, 1, 2});
    CHECK(found.sequence == 3);

    graph.reset();
    CHECK_FALSE(graph.is_cancelled());
    for (std::uint32_t number = 100; number < 200; ++number) {
        CHECK(node.try_put({.what = fate::well, .number = number}));
    }
    graph.wait_for_all();
    const std::vector<result> all = results.values();
    REQUIRE(all.size() == 103);
    CHECK(all[3] == 100);
    CHECK(all[102] == 199);
    return found;
}

} // namespace

TEST_CASE("Where failures have no place, an exception in the body reaches wait_for_all with its stack") {
    const bounded_test bounds;
    const failure found = error_of(fate::throws_runtime_error);
    CHECK(found.kind == failure_kind::threw);
    CHECK(found.exception_type == "std::runtime_error");
    CHECK(found.what == "no such page");
    check_names(found, "forkflow_test_throws_runtime_error");
}

TEST_CASE("Where failures have no place, a crash of the body reaches wait_for_all with its stack") {
    const bounded_test bounds;
    const failure found = error_of(fate::dereferences_null);
    CHECK(found.kind == failure_kind::crashed);
    CHECK(found.signal == SIGSEGV);
    check_names(found, "forkflow_test_dereferences_null");
}

TEST_CASE("A node fails and is reset a hundred times, and works each time") {
    const bounded_test bounds;
    // How many rounds have been put: the message that throws waits for the one behind it.
    const forkflow_test::shared_flags put(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<order, result> node(graph, 2, [&put](const order& one) {
        if (one.what == fate::throws_int) {
            put.wait_for(0, one.number + 1);
        }
        return meet(one);
    });
    const recorder<result> results(graph, node);
    std::vector<result> expected;
    for (std::uint32_t round = 0; round < 100; ++round) {
        node.try_put({.what = fate::well, .number = round});
        node.try_put({.what = fate::throws_int, .number = round});
        node.try_put({.what = fate::well, .number = 0});
        put.add(0);
        REQUIRE_THROWS_AS(graph.wait_for_all(), forkflow::process_error);
        graph.reset();
        expected.push_back(round);
    }
    CHECK(results.values() == expected);
    CHECK(node.statistics().in_flight + node.statistics().emitted == 300);
}

TEST_CASE("An exception out of wait_for_all drops a long queue behind it, and nothing is counted twice") {
    const bounded_test bounds;
    tbb::flow::graph g;
    forkflow::ordered_process_node<int, int> node( // with its default policy, queueing
        g, {.workers = 1, .window = 1, .requests = 1}, [](int message) {
            if (message == 5) {
                throw std::runtime_error("five");
            }
            return message;
        });
    recorder<int> results(g);
    tbb::flow::make_edge(node, results.node());
    std::vector<int> expected;
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 200; ++i) {
            node.try_put(i);
        }
        CHECK_THROWS_AS(g.wait_for_all(), forkflow::process_error);
        const forkflow::statistics now = node.statistics();
        CHECK(now.queued == 0);
        CHECK(now.received == now.emitted + now.in_flight);
        g.reset();
        node.try_put(1000 + round);
        g.wait_for_all();
        expected.insert(expected.end(), {0, 1, 2, 3, 4, 1000 + round});
    }
    CHECK(results.values() == expected);
}

} // namespace process_error_test
