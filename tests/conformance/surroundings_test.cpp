// SPDX-License-Identifier: MIT
// Where a node may stand: in composite nodes, in graphs inside of graphs, beside other graphs, in arenas and
// isolated regions, in programs that are traced. And that graphs may come and go by the hundred.
#define TBB_USE_PROFILING_TOOLS 1 // lets nodes tell tracing tools of themselves

#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/node_makers.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/task_arena.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace flow = tbb::flow;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::for_ever;
using forkflow_test::in_processes;
using forkflow_test::in_threads;
using forkflow_test::int_node;
using forkflow_test::recorder;
using forkflow_test::rejecting_node;
using forkflow_test::same;
using forkflow_test::up_to;

namespace {

constexpr int count = 200;

pool_options narrow() {
    return {.workers = 2, .window = 2, .requests = 2};
}

/// What comes out of a graph of its own with one node in it.
template <class Maker>
std::vector<int> through_a_graph_of_its_own(int first) {
    flow::graph g;
    typename Maker::template node<int, int> node(g, Maker::few_messages(),
                                                 [first](int message) { return first + message; });
    const recorder<int> results(g, node);
    for (int i = 0; i < 20; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    return Maker::comparable(results.values());
}

bool counts_on_from(int first, const std::vector<int>& values) {
    bool all = values.size() == 20;
    for (const int value : values) {
        all = all && value == first++;
    }
    return all;
}

/// Two nodes that look like one from outside.
template <class Node>
class pair_of_nodes : public flow::composite_node<std::tuple<int>, std::tuple<int>> {
    using base = flow::composite_node<std::tuple<int>, std::tuple<int>>;

public:
    explicit pair_of_nodes(flow::graph& g)
        : base(g)
        , first_(g, flow::serial, [](int message) { return message + 1; })
        , second_(g, flow::serial, [](int message) { return 2 * message; }) {
        flow::make_edge(first_, second_);
        base::set_external_ports(typename base::input_ports_type(first_),
                                 typename base::output_ports_type(second_));
    }

private:
    Node first_;
    Node second_;
};

} // namespace

TEMPLATE_TEST_CASE("Nodes work inside a composite_node", "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    flow::queue_node<int> before(g);
    pair_of_nodes<typename TestType::template node<int, int>> composite(g);
    const recorder<int> results(g, flow::output_port<0>(composite));
    flow::make_edge(before, flow::input_port<0>(composite));
    for (int round = 0; round < 3; ++round) {
        before.try_put(round);
        g.wait_for_all();
    }
    CHECK(results.values() == std::vector<int>{2, 4, 6});
    g.reset();
    before.try_put(4);
    g.wait_for_all();
    CHECK(results.values().back() == 10);
}

TEMPLATE_TEST_CASE("A node may be given a name for tracing tools, and works while they look on", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    typename TestType::template node<int, int> node(g, flow::serial, same);
    typename TestType::template node<int, int, flow::rejecting> other(g, flow::serial, same);
    set_name(g, "a graph"); // found with its argument, as each of them
    set_name(node, "a node");
    set_name(other, "another node");
    const recorder<int> results(g, node);
    node.try_put(1);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1});
}

TEMPLATE_TEST_CASE("Bodies of a graph may make graphs with nodes of their own, and wait for them", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph outer;
    flow::function_node<int, bool> inner_graphs(outer, flow::unlimited, [](int first) {
        return counts_on_from(first, through_a_graph_of_its_own<TestType>(first));
    });
    const recorder<bool> results(outer, inner_graphs);
    for (int i = 0; i < 12; ++i) {
        inner_graphs.try_put(1000 * i);
    }
    outer.wait_for_all();
    CHECK(results.values() == std::vector<bool>(12, true));
}

TEMPLATE_TEST_CASE("Graphs in several threads do not disturb each other", "", in_threads, in_processes) {
    const bounded_test bounds;
    std::vector<int> wrong(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        threads.emplace_back([&wrong, i] {
            for (int round = 0; round < 5; ++round) {
                wrong[i] += counts_on_from(round, through_a_graph_of_its_own<TestType>(round)) ? 0 : 1;
            }
        });
    }
    for (std::thread& one : threads) {
        one.join();
    }
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("A graph may put into a node of another graph, which is full") {
    const bounded_test bounds;
    flow::graph g;
    flow::graph other;
    int_node node(g, narrow(), same);
    rejecting_node node_of_other(other, narrow(), same);
    const recorder<int> results(other, node_of_other);
    flow::function_node<int, int> bridge(g, flow::serial, [&](int message) {
        CHECK(node_of_other.put(message, for_ever));
        return message;
    });
    flow::make_edge(node, bridge);
    for (int i = 0; i < count; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    other.wait_for_all();
    CHECK(results.values() == up_to(count));
}

TEMPLATE_TEST_CASE("A graph works in an arena of its own, and is waited for from others and in isolation", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    tbb::task_arena arena(2);
    std::unique_ptr<flow::graph> g;
    arena.execute([&] { g = std::make_unique<flow::graph>(); });
    {
        typename TestType::template node<int, int> node(*g, TestType::few_messages(), same);
        const recorder<int> results(*g, node);
        const auto put_all = [&] {
            for (int i = 0; i < count; ++i) {
                node.try_put(i);
            }
        };
        SECTION("from the thread that has no arena") {
            put_all();
            g->wait_for_all();
        }
        SECTION("from another arena") {
            tbb::task_arena other(1);
            other.execute([&] {
                put_all();
                g->wait_for_all();
            });
        }
        SECTION("isolated") {
            tbb::this_task_arena::isolate([&] {
                put_all();
                g->wait_for_all();
            });
        }
        SECTION("isolated, in its own arena") {
            arena.execute([&] {
                tbb::this_task_arena::isolate([&] {
                    put_all();
                    g->wait_for_all();
                });
            });
        }
        CHECK(TestType::comparable(results.values()) == up_to(count));
    }
}

TEST_CASE("Hundreds of small graphs are made and destroyed, and neither memory nor anything else is left") {
    const bounded_test bounds(std::chrono::seconds(180));
    constexpr int graphs = 300;
    constexpr int warm = 50;
    long kib_when_warm = 0;
    for (int i = 0; i < graphs; ++i) {
        flow::graph g;
        int_node first(g, narrow(), same);
        rejecting_node second(g, {.workers = 1, .window = 1, .requests = 1}, same);
        const recorder<int> results(g, second);
        flow::make_edge(first, second);
        for (int k = 0; k < i % 4; ++k) {
            first.try_put(k);
        }
        if (i % 5 == 0) {
            g.cancel();
            g.wait_for_all();
        } else {
            g.wait_for_all();
            REQUIRE(results.values() == up_to(i % 4));
        }
        if (i == warm) {
            kib_when_warm = forkflow_test::resident_kib();
        }
    }
    if (!forkflow_test::sanitized) {                                 // which keeps freed memory for a while
        CHECK(forkflow_test::resident_kib() - kib_when_warm < 4096); // 16 KiB for each graph
    }
}
