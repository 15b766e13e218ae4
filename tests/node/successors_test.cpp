// SPDX-License-Identifier: MIT
// Successors that refuse, throw, or are slow: nothing is lost, nothing overtakes, and nobody waits for ever.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace successors_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

namespace flow = tbb::flow;

using int_node = forkflow::ordered_process_node<int, int>;
using rejecting_int_node = forkflow::ordered_process_node<int, int, flow::rejecting>;
using rejecting_sink = flow::function_node<int, int, flow::rejecting>;

constexpr int same(int message) {
    return message;
}

std::vector<int> up_to(int count) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) {
        numbers.push_back(i);
    }
    return numbers;
}

void put_all(flow::receiver<int>& node, int count) {
    for (int i = 0; i < count; ++i) {
        REQUIRE(node.try_put(i));
    }
}

} // namespace

TEST_CASE("A serial sink that refuses while it is busy gets every outcome, in order") {
    const bounded_test bounds;
    flow::graph graph;
    int_node node(graph, pool_options{.workers = 2, .window = 4}, same);
    std::vector<int> got;
    rejecting_sink sink(graph, flow::serial, [&](int message) {
        got.push_back(message);
        return message;
    });
    flow::make_edge(node, sink);
    put_all(node, 5000);
    graph.wait_for_all();
    CHECK(got == up_to(5000));
}

TEST_CASE("A quick successor and one that refuses both get every outcome once, in order") {
    const bounded_test bounds;
    flow::graph graph;
    int_node node(graph, pool_options{.workers = 2, .window = 4}, same);
    const recorder<int> quick(graph, node);
    std::vector<int> got;
    rejecting_sink slow(graph, flow::serial, [&](int message) {
        got.push_back(message);
        std::this_thread::yield();
        return message;
    });
    flow::make_edge(node, slow);
    put_all(node, 2000);
    graph.wait_for_all();
    CHECK(got == up_to(2000));
    CHECK(quick.size() == 2000);
}

TEST_CASE("The graph comes to rest before a full limiter, and the stream goes on as it is decremented") {
    const bounded_test bounds;
    flow::graph graph;
    int_node node(graph, pool_options{.workers = 2, .window = 4}, same);
    flow::limiter_node<int> limiter(graph, 2);
    std::vector<int> got;
    flow::function_node<int> sink(graph, flow::serial, [&](int message) { got.push_back(message); });
    flow::make_edge(node, limiter);
    flow::make_edge(limiter, sink);
    put_all(node, 9);
    graph.wait_for_all(); // its stream has no end yet, but there is nothing to do
    CHECK(got == up_to(2));
    for (int allowed = 3; allowed <= 9; ++allowed) {
        limiter.decrementer().try_put(flow::continue_msg());
        graph.wait_for_all();
        CHECK(got == up_to(allowed));
    }
}

TEST_CASE("A successor that throws ends the graph, and after a reset the node works") {
    const bounded_test bounds;
    flow::graph graph;
    int_node node(graph, 2, same);
    std::atomic<bool> broken{true};
    std::vector<int> got;
    const auto body = [&](int message) {
        if (broken) {
            throw std::runtime_error("the sink is broken");
        }
        got.push_back(message);
        return message;
    };
    SECTION("while it refuses") {
        rejecting_sink sink(graph, flow::serial, body);
        flow::make_edge(node, sink);
        put_all(node, 100);
        CHECK_THROWS_WITH(graph.wait_for_all(), "the sink is broken");
        broken = false;
        graph.reset();
        put_all(node, 50);
        graph.wait_for_all();
        CHECK(got == up_to(50));
    }
    SECTION("while it has a queue") {
        flow::function_node<int, int> sink(graph, flow::serial, body);
        flow::make_edge(node, sink);
        put_all(node, 100);
        CHECK_THROWS_WITH(graph.wait_for_all(), "the sink is broken");
        broken = false;
        graph.reset();
        put_all(node, 50);
        graph.wait_for_all();
        CHECK(got == up_to(50));
    }
    SECTION("while it is offered an outcome") {
        forkflow_test::own_receiver<int> sink(graph, [&](int message) { return body(message) == message; });
        flow::make_edge<int>(node, sink);
        const recorder<int> after_it(graph, node);
        put_all(node, 100);
        CHECK_THROWS_WITH(graph.wait_for_all(), "the sink is broken");
        CHECK(after_it.size() == 0);
        broken = false;
        graph.reset();
        put_all(node, 50);
        graph.wait_for_all();
        CHECK(got == up_to(50));
        CHECK(after_it.values() == up_to(50));
    }
}

TEST_CASE("Three nodes in a row that refuse each other pass on every message, in order") {
    const bounded_test bounds;
    flow::graph graph;
    const pool_options small{.workers = 1, .window = 2, .requests = 2};
    auto source = forkflow_test::counting_source(graph, 3000, [](int /*message*/) {});
    rejecting_int_node first(graph, small, same);
    rejecting_int_node second(graph, small, same);
    rejecting_int_node third(graph, small, same);
    std::vector<int> got;
    rejecting_sink sink = forkflow_test::sink_into(got, graph);
    forkflow_test::make_chain(source, first, second, third, sink);
    source.activate();
    graph.wait_for_all();
    CHECK(got == up_to(3000));
}

TEST_CASE("put that waits for room when the graph is cancelled gets it once the workers are through") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: runs; 1: released
    flow::graph graph;
    rejecting_int_node node(graph, pool_options{.workers = 1, .window = 1, .requests = 1}, [&](int message) {
        flags.set(0);
        flags.wait_for(1);
        return message;
    });
    REQUIRE(node.try_put(1));
    flags.wait_for(0);
    std::thread waiting([&] { CHECK(node.put(2, 50s)); });
    graph.cancel();
    flags.set(1);
    waiting.join();
    graph.wait_for_all();
}

TEST_CASE("A source that was refused because of abandoned messages is asked once they are gone") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: runs; 1: released
    flow::graph graph;
    rejecting_int_node node(graph, pool_options{.workers = 1, .window = 1, .requests = 1}, [&](int message) {
        if (message < 0) {
            flags.set(0);
            flags.wait_for(1);
        }
        return message;
    });
    const recorder<int> results(graph, node);
    REQUIRE(node.try_put(-1));
    flags.wait_for(0);
    graph.reset(); // the worker goes on
    int next = 0;
    flow::input_node<int> source(graph, [&](tbb::flow_control& control) {
        if (next == 5) {
            control.stop();
            return 0;
        }
        return next++;
    });
    flow::make_edge(source, node);
    source.activate();
    std::thread releasing([&] { flags.set(1); });
    graph.wait_for_all();
    releasing.join();
    CHECK(results.size() == 5);
}

TEST_CASE("An edge that is removed and made again while an outcome is offered does not carry it twice") {
    const bounded_test bounds;
    flow::graph graph;
    int_node node(graph, 1, same);
    std::vector<int> got;
    flow::receiver<int>* self = nullptr;
    forkflow_test::own_receiver<int> changing(graph, [&](int outcome) {
        got.push_back(outcome);
        flow::remove_edge<int>(node, *self);
        flow::make_edge<int>(node, *self);
        return true;
    });
    self = &changing;
    flow::make_edge<int>(node, changing);
    const recorder<int> other(graph, node); // not offered the outcome yet when the first has it
    put_all(node, 100);
    graph.wait_for_all();
    CHECK(got == up_to(100));
    CHECK(other.values() == up_to(100));
}

} // namespace successors_test
