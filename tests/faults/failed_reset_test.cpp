// SPDX-License-Identifier: MIT
// A reset that is to make new workers, and cannot: it says why, and the node refuses until a later one
// succeeds.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/limits.hpp"
#include "support/recorder.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <system_error>

namespace failed_reset_test {

namespace flow = tbb::flow;
using Catch::Matchers::Contains;
using forkflow_test::bounded_test;
using forkflow_test::for_ever;
using forkflow_test::recorder;
using forkflow_test::same;
using forkflow_test::soft_limit;

namespace {

/// Resets while no descriptor is to be had.
void reset_in_vain(flow::graph& graph) {
    const soft_limit descriptors(RLIMIT_NOFILE);
    descriptors.set(4);
    try {
        graph.reset(flow::rf_reset_bodies);
    } catch (const std::system_error& error) {
        descriptors.lift(); // before Catch2 may want one
        CHECK_THAT(error.what(), Contains("Too many open files"));
        return;
    }
    descriptors.lift();
    FAIL("it did not throw");
}

} // namespace

TEMPLATE_TEST_CASE("A node whose reset had no descriptors refuses, and works after the next reset", "",
                   forkflow_test::int_node, forkflow_test::rejecting_node) {
    const bounded_test bounds;
    flow::graph graph;
    TestType node(graph, 2, same);
    const recorder<int> results(graph, node);
    REQUIRE(node.try_put(1));
    graph.wait_for_all();
    reset_in_vain(graph);
    CHECK_FALSE(node.try_put(2));
    CHECK_FALSE(node.put(2, for_ever));
    CHECK(node.statistics().in_flight == 0);
    reset_in_vain(graph);
    graph.reset(flow::rf_reset_bodies);
    CHECK(node.try_put(3));
    CHECK(node.put(4, for_ever));
    graph.wait_for_all();
    CHECK(results.values() == std::vector<int>{1, 3, 4});
}

TEST_CASE("A node whose reset had no descriptors can be destroyed") {
    const bounded_test bounds;
    flow::graph graph;
    const forkflow_test::int_node node(graph, 2, same);
    reset_in_vain(graph);
}

} // namespace failed_reset_test
