// SPDX-License-Identifier: MIT
// oneTBB's rules for a functional node, each a test, run over tbb::flow::function_node and over
// ordered_process_node: the one may stand in a graph where the other did.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/node_makers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

namespace functional_node_test {

namespace flow = tbb::flow;
using forkflow_test::bounded_test;
using forkflow_test::in_processes;
using forkflow_test::in_threads;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

/// Flags of a body that tells when it begins, and waits until it is let go.
enum flag : std::size_t { begun, let_go, peak, flag_count };

/// Counts its own calls; each worker has its own.
struct counting_body {
    int calls = 0;
    int operator()(int /*message*/) { return ++calls; }
};

template <class Maker>
using int_node = typename Maker::template node<int, int>;
template <class Maker>
using rejecting_int_node = typename Maker::template node<int, int, flow::rejecting>;

} // namespace

TEMPLATE_TEST_CASE("So many messages as are put, so many bodies are run", "", in_threads, in_processes) {
    const bounded_test bounds;
    const shared_flags flags(1);
    flow::graph g;
    int_node<TestType> node(g, flow::unlimited, [&](int message) {
        flags.add(0);
        return message;
    });
    for (int i = 0; i < 100; ++i) {
        CHECK(node.try_put(i));
    }
    g.wait_for_all();
    CHECK(flags.get(0) == 100);
}

TEMPLATE_TEST_CASE("Every form of the constructor makes a node that works", "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    const auto body = [](int message) { return message + 1; };
    const auto works = [&]<class Node>(Node&& node) {
        const recorder<int> results(g, node);
        node.try_put(41);
        g.wait_for_all();
        CHECK(results.values() == std::vector<int>{42});
    };
    using flow::node_priority_t;
    works(int_node<TestType>(g, flow::unlimited, body));
    works(int_node<TestType>(g, flow::serial, body, flow::queueing()));
    works(int_node<TestType>(g, 2, body, node_priority_t(3)));
    works(rejecting_int_node<TestType>(g, 2, body, flow::rejecting(), node_priority_t(3)));
    using light = typename TestType::template node<int, int, flow::lightweight>;
    works(light(g, flow::serial, body, flow::lightweight(), node_priority_t(1)));
    using queueing_light = typename TestType::template node<int, int, flow::queueing_lightweight>;
    works(queueing_light(g, flow::serial, body));
    using rejecting_light = typename TestType::template node<int, int, flow::rejecting_lightweight>;
    works(rejecting_light(g, flow::serial, body));
}

TEMPLATE_TEST_CASE("A copy has a copy of the initial body, no edges and no messages", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    struct waiting_body {
        const shared_flags& flags;
        int calls = 0;
        int operator()(int /*message*/) {
            flags.set(begun);
            flags.wait_for(let_go);
            return ++calls;
        }
    };
    flow::graph g;
    int_node<TestType> source(g, flow::serial, [](int message) { return message; });
    int_node<TestType> original(g, TestType::bodies(1), waiting_body{.flags = flags});
    flow::make_edge(source, original);
    const recorder<int> from_original(g, original);
    for (int i = 0; i < 30; ++i) {
        original.try_put(i); // one runs, others are queued
    }
    flags.wait_for(begun);
    int_node<TestType> copy(original); // NOLINT(performance-unnecessary-copy-initialization)
    flags.set(let_go);
    g.wait_for_all();
    CHECK(from_original.size() == 30);
    const recorder<int> from_copy(g, copy);
    copy.try_put(0);
    g.wait_for_all();
    CHECK(from_copy.values() == std::vector<int>{1}); // the body is new, and the queue was not copied
    source.try_put(0);
    g.wait_for_all();
    CHECK(from_copy.size() == 1); // no predecessor was copied
    CHECK(from_original.size() == 31);
}

TEMPLATE_TEST_CASE("A rejecting node refuses while it is full, and takes messages again later", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    flow::graph g;
    rejecting_int_node<TestType> node(g, TestType::one_message(), [&](int message) {
        flags.set(begun);
        flags.wait_for(let_go);
        return message;
    });
    const recorder<int> results(g, node);
    CHECK(node.try_put(0));
    flags.wait_for(begun);
    CHECK_FALSE(node.try_put(1));
    CHECK_FALSE(node.try_put(2));
    flags.set(let_go);
    g.wait_for_all();
    CHECK(node.try_put(3));
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{0, 3});
}

TEMPLATE_TEST_CASE("copy_body gives a copy of the body that the node was made with", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::serial, counting_body{.calls = 7});
    CHECK(flow::copy_body<counting_body>(node).calls == 7);
    int_node<TestType> by_pointer(
        g, flow::serial, +[](int message) { return -message; });
    CHECK(flow::copy_body<int (*)(int)>(by_pointer)(3) == -3);
}

TEMPLATE_TEST_CASE("After a successor's refusal try_get of the node is false and leaves its argument alone",
                   "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::unlimited, [](int message) { return message; });
    flow::limiter_node<int> closed(g, 0);
    flow::make_edge(node, closed);
    node.try_put(1);
    g.wait_for_all();
    int untouched = -1;
    CHECK_FALSE(node.try_get(untouched));
    CHECK_FALSE(node.try_reserve(untouched));
    CHECK(untouched == -1);
}

TEMPLATE_TEST_CASE("Each of ten successors gets one copy of each outcome", "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::serial, [](int message) { return 2 * message; });
    std::vector<std::unique_ptr<recorder<int>>> successors;
    for (int i = 0; i < 10; ++i) {
        successors.push_back(std::make_unique<recorder<int>>(g, node));
    }
    node.try_put(1);
    node.try_put(2);
    g.wait_for_all();
    for (const auto& one : successors) {
        CHECK(TestType::comparable(one->values()) == std::vector<int>{2, 4});
    }
}

TEMPLATE_TEST_CASE("At most so many bodies run at a time as the node was made for", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    flow::graph g;
    int_node<TestType> node(g, TestType::bodies(2), [&](int message) {
        if (flags.add(begun) + 1 > 2) {
            flags.set(peak);
        }
        std::this_thread::yield();
        flags.add(begun, ~0U); // one less
        return message;
    });
    for (int i = 0; i < 1000; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    CHECK(flags.get(peak) == 0);
}

TEMPLATE_TEST_CASE("wait_for_all waits for a body that somebody else must let go", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    flow::graph g;
    int_node<TestType> node(g, flow::serial, [&](int message) {
        flags.set(begun);
        flags.wait_for(let_go);
        return message;
    });
    const recorder<int> results(g, node);
    std::atomic<bool> waited_too_short = false;
    node.try_put(1);
    std::thread other([&] {
        flags.wait_for(begun);
        waited_too_short = results.size() > 0;
        flags.set(let_go);
    });
    g.wait_for_all();
    CHECK(results.size() == 1);
    other.join();
    CHECK_FALSE(waited_too_short);
}

TEMPLATE_TEST_CASE("reset with rf_reset_protocol keeps the body's state and the edges", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::serial, counting_body());
    const recorder<int> results(g, node);
    node.try_put(0);
    g.wait_for_all();
    g.reset();
    node.try_put(0);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1, 2});
}

TEMPLATE_TEST_CASE("reset with rf_reset_bodies runs the initial body again, and keeps the edges", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::serial, counting_body());
    const recorder<int> results(g, node);
    for (int round = 0; round < 3; ++round) {
        node.try_put(0);
        g.wait_for_all();
        node.try_put(0);
        g.wait_for_all();
        g.reset(flow::rf_reset_bodies);
    }
    CHECK(results.values() == std::vector<int>{1, 2, 1, 2, 1, 2});
}

TEMPLATE_TEST_CASE("Nothing moves over the edges after a reset with rf_clear_edges", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> source(g, flow::serial, [](int message) { return message; });
    int_node<TestType> node(g, flow::serial, [](int message) { return message; });
    recorder<int> results(g, node);
    flow::make_edge(source, node);
    source.try_put(1);
    g.wait_for_all();
    g.reset(flow::rf_clear_edges);
    source.try_put(2);
    node.try_put(3);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1});
    flow::make_edge(node, results.node());
    node.try_put(4);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1, 4});
}

TEMPLATE_TEST_CASE("After a cancellation the graph says so, and reset drops the input that was buffered", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    flow::graph g;
    int_node<TestType> node(g, TestType::bodies(1), [&](int message) {
        flags.set(begun);
        flags.wait_for(let_go);
        return message;
    });
    recorder<int> results(g);
    for (int i = 0; i < 100; ++i) {
        node.try_put(i);
    }
    flags.wait_for(begun);
    g.cancel();
    flags.set(let_go);
    g.wait_for_all();
    CHECK(g.is_cancelled());
    CHECK_FALSE(g.exception_thrown());
    g.reset();
    CHECK_FALSE(g.is_cancelled());
    flow::make_edge(node, results.node());
    node.try_put(1000);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1000});
    CHECK_FALSE(g.is_cancelled());
}

TEMPLATE_TEST_CASE("What a body throws comes out of wait_for_all, and the node works after a reset", "",
                   in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int_node<TestType> node(g, flow::serial, [](int message) {
        if (message == 3) {
            throw std::runtime_error("three");
        }
        return message;
    });
    recorder<int> results(g);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 10; ++i) {
            node.try_put(i);
        }
        CHECK_THROWS_AS(g.wait_for_all(), std::exception);
        CHECK(g.exception_thrown());
        CHECK(g.is_cancelled());
        g.reset();
    }
    flow::make_edge(node, results.node());
    node.try_put(1);
    g.wait_for_all();
    CHECK(results.values() == std::vector<int>{1});
}

TEMPLATE_TEST_CASE("A node is a graph_node, a receiver and a sender, and tells its types", "", in_threads,
                   in_processes) {
    using node = typename TestType::template node<long, char>;
    STATIC_REQUIRE(std::is_base_of_v<flow::graph_node, node>);
    STATIC_REQUIRE(std::is_base_of_v<flow::receiver<long>, node>);
    STATIC_REQUIRE(std::is_base_of_v<flow::sender<char>, node>);
    STATIC_REQUIRE(std::is_same_v<typename node::input_type, long>);
    STATIC_REQUIRE(std::is_same_v<typename node::output_type, char>);
    STATIC_REQUIRE(std::is_same_v<typename node::predecessor_type, flow::sender<long>>);
    STATIC_REQUIRE(std::is_same_v<typename node::successor_type, flow::receiver<char>>);
    STATIC_REQUIRE(std::is_copy_constructible_v<node>);
    STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<node>);
}

} // namespace functional_node_test
