// SPDX-License-Identifier: MIT
// oneTBB's preview features, where the installed version has them: node sets (follows, precedes), and
// try_put_and_wait through the node.
#define TBB_PREVIEW_FLOW_GRAPH_FEATURES 1

#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <thread>
#include <type_traits>
#include <vector>

namespace flow = tbb::flow;
using forkflow::ordered_process_node;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::shared_flags;

namespace {

int same(int message) {
    return message;
}

using sink_node = flow::function_node<int, int>;

sink_node sink_into(flow::graph& g, std::vector<int>& got) {
    return sink_node(g, flow::serial, [&got](int message) {
        got.push_back(message);
        return message;
    });
}

} // namespace

#if __TBB_PREVIEW_FLOW_GRAPH_NODE_SET
TEST_CASE("A node is made with edges from those that it follows, or to those that it precedes") {
    const bounded_test bounds;
    flow::graph g;
    std::vector<int> got;
    flow::broadcast_node<int> left(g);
    flow::broadcast_node<int> right(g);
    sink_node sink = sink_into(g, got);
    ordered_process_node after(flow::follows(left, right), 1, same);
    STATIC_REQUIRE(std::is_same_v<decltype(after), ordered_process_node<int, int>>);
    ordered_process_node before(flow::precedes(sink), pool_options{.workers = 1}, same, flow::rejecting(),
                                flow::node_priority_t(2));
    STATIC_REQUIRE(std::is_same_v<decltype(before), ordered_process_node<int, int, flow::rejecting>>);
    flow::function_node<int, int> between(flow::follows(after), flow::serial, same); // it may be in a set too
    flow::make_edge(between, before);
    left.try_put(1);
    g.wait_for_all();
    right.try_put(2);
    g.wait_for_all();
    CHECK(got == std::vector<int>{1, 2});
}
#endif

#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
TEST_CASE("try_put_and_wait returns after its message's outcome is through, not after all others are") {
    const bounded_test bounds;
    const shared_flags flags(1);
    flow::graph g;
    ordered_process_node<int, int> node(g, 2, [&](int message) {
        if (message == 1000) {
            flags.wait_for(0);
        }
        return message;
    });
    std::atomic<int> last = -1;
    flow::function_node<int, int> after(g, flow::serial, [&](int message) {
        last = message;
        return message;
    });
    flow::make_edge(node, after);
    for (int i = 0; i < 500; ++i) {
        CHECK(node.try_put_and_wait(i));
        CHECK(last == i);
    }
    CHECK(node.try_put_and_wait(500));
    node.try_put(1000); // held in its worker: nobody waits for it
    flags.set(0);
    g.wait_for_all();
    CHECK(last == 1000);
}

TEST_CASE("Who waits for a message does not wait for one behind it") {
    const bounded_test bounds;
    const shared_flags flags(1);
    flow::graph g;
    ordered_process_node<int, int> node(g, 1, [&](int message) {
        if (message > 0) {
            flags.wait_for(0);
        }
        return message;
    });
    std::atomic<int> seen = 0;
    // Emits 0, and puts another message behind it that is held.
    flow::function_node<int, int> after(g, flow::serial, [&](int message) {
        ++seen;
        if (message == 0) {
            node.try_put(1);
        }
        return message;
    });
    flow::make_edge(node, after);
    CHECK(node.try_put_and_wait(0));
    CHECK(seen == 1);
    flags.set(0);
    g.wait_for_all();
    CHECK(seen == 2);
}

TEST_CASE("try_put_and_wait goes through queues, refusing edges, buffers and chains of nodes") {
    const bounded_test bounds;
    flow::graph g;
    const pool_options tiny{.workers = 1, .window = 1, .requests = 1};
    ordered_process_node<int, int> first(g, tiny, same);
    ordered_process_node<int, int, flow::rejecting> second(g, tiny, same);
    flow::queue_node<int> buffer(g);
    ordered_process_node<int, int, flow::rejecting> third(g, tiny, same);
    std::atomic<int> last = -1;
    flow::function_node<int, int, flow::rejecting> sink(g, flow::serial, [&](int message) {
        last = message;
        return message;
    });
    flow::make_edge(first, second);
    flow::make_edge(second, buffer);
    flow::make_edge(buffer, third);
    flow::make_edge(third, sink);
    for (int i = 0; i < 200; i += 10) {
        for (int k = 0; k < 9; ++k) {
            first.try_put(i + k); // in front of it, in queue and rings
        }
        CHECK(first.try_put_and_wait(i + 9));
        CHECK(last == i + 9);
    }
    g.wait_for_all();
}

TEST_CASE("Nobody waits for ever for a message that was dropped") {
    const bounded_test bounds;
    const shared_flags flags(2);
    flow::graph g;
    ordered_process_node<int, int> node(g, pool_options{.workers = 1, .window = 1, .requests = 1},
                                        [&](int message) {
                                            flags.set(0);
                                            flags.wait_for(1);
                                            return message;
                                        });
    for (int i = 0; i < 10; ++i) {
        node.try_put(i);
    }
    std::thread canceller([&] {
        flags.wait_for(0);
        g.cancel();
        flags.set(1);
    });
    CHECK(node.try_put_and_wait(10));
    canceller.join();
    g.wait_for_all();
    g.reset();
    CHECK(node.try_put_and_wait(11));
}
#endif

TEST_CASE("A node works with the preview features on, in whatever version") {
    const bounded_test bounds;
    flow::graph g;
    std::vector<int> got;
    ordered_process_node<int, int> node(g, 1, same);
    sink_node sink = sink_into(g, got);
    flow::make_edge(node, sink);
    node.try_put(1);
    g.wait_for_all();
    CHECK(got == std::vector<int>{1});
}
