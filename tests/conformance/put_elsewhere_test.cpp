// SPDX-License-Identifier: MIT
// put in a task that is not of the node's graph: what becomes of that task's own work is nothing to the node.
#include "support/catch.hpp"
#include "support/engine_watchdog.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include <functional>
#include <thread>

namespace put_elsewhere_test {

namespace flow = tbb::flow;
using forkflow_test::bounded_test;
using forkflow_test::eventually;
using forkflow_test::for_ever;
using forkflow_test::int_node;
using forkflow_test::recorder;
using forkflow_test::shared_flags;
using forkflow_test::up_to;

namespace {

/// Puts into a node with room for two, by `run(puts)`, which returns when that is done; and calls `cancel`
/// while the third waits for room.
void check_that_all_come_out(const std::function<void(const std::function<void()>&)>& run,
                             const std::function<void()>& cancel) {
    constexpr int count = 9;
    const shared_flags let_go(1);
    flow::graph graph;
    int_node node(graph, {.workers = 1, .window = 2, .requests = 2}, [&](int message) {
        let_go.wait_for(0, message < 0 ? 0 : 1);
        return message;
    });
    const recorder<int> results(graph, node);
    REQUIRE(node.try_put(-1)); // so that the graph has its context, which is nobody else's
    graph.wait_for_all();

    std::thread canceller([&] {
        const bool full = eventually([&] { return node.statistics().in_flight == 2; });
        cancel();
        let_go.set(0);
        CHECK(full);
    });
    int accepted = 0;
    run([&] {
        for (int i = 0; i < count; ++i) {
            accepted += node.put(i, for_ever) ? 1 : 0;
        }
    });
    canceller.join();
    graph.wait_for_all();
    CHECK(accepted == count);
    CHECK_FALSE(graph.is_cancelled());
    CHECK(node.statistics().dropped == 0);
    std::vector<int> expected = up_to(count);
    expected.insert(expected.begin(), -1);
    CHECK(results.values() == expected);
}

} // namespace

TEST_CASE("What is put by a body of another graph comes out, also if that graph is cancelled meanwhile") {
    const bounded_test bounds;
    flow::graph other;
    check_that_all_come_out(
        [&](const std::function<void()>& puts) {
            flow::function_node<int> source(other, flow::serial, [&](int) { puts(); });
            source.try_put(0);
            other.wait_for_all();
        },
        [&] { other.cancel(); });
}

TEST_CASE("What is put in a parallel loop comes out, also if the loop is cancelled meanwhile") {
    const bounded_test bounds;
    tbb::task_group_context loop;
    check_that_all_come_out(
        [&](const std::function<void()>& puts) {
            tbb::parallel_for(
                0, 1, [&](int) { puts(); }, tbb::simple_partitioner(), loop);
        },
        [&] { loop.cancel_group_execution(); });
}

} // namespace put_elsewhere_test
