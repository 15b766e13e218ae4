// SPDX-License-Identifier: MIT
// A node whose window is bounded by bytes: a full one is backpressure, as one that is full by number is.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace window_bytes_node_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

constexpr std::size_t kibibyte = 1024;

pool_options bounded_by_bytes() {
    return {.workers = 2, .window = 50, .max_message_bytes = 64 * kibibyte, .window_bytes = 100 * kibibyte};
}

/// A node that gives the length of texts, once it is released.
template <class Policy>
struct held_node {
    held_node()
        : node(graph, bounded_by_bytes(), [this](const std::string& text) {
            released.wait_for(0);
            return text.size();
        }) {}

    shared_flags released{1};
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::string, std::size_t, Policy> node;
    recorder<std::size_t> lengths{graph, node};
};

const std::string large_text(60 * kibibyte, 'x'); // NOLINT(cert-err58-cpp)

} // namespace

TEST_CASE("A rejecting node refuses while the bytes are used up, and takes messages again later") {
    const bounded_test bounds;
    held_node<tbb::flow::rejecting> held;
    CHECK(held.node.try_put(large_text));
    CHECK(held.node.try_put(large_text));
    CHECK_FALSE(held.node.try_put(large_text));
    CHECK_FALSE(held.node.put(large_text, 1ms));
    CHECK(held.node.statistics().in_flight == 2);
    held.released.set(0);
    CHECK(held.node.put(large_text, 60s));
    held.graph.wait_for_all();
    CHECK(held.lengths.values() == std::vector<std::size_t>(3, large_text.size()));
    CHECK(held.node.try_put(large_text));
    held.graph.wait_for_all();
}

TEST_CASE("A queueing node queues what the bytes have no room for") {
    const bounded_test bounds;
    held_node<tbb::flow::queueing> held;
    for (int i = 0; i < 10; ++i) {
        CHECK(held.node.try_put(large_text));
    }
    CHECK(held.node.statistics().in_flight == 2);
    CHECK(held.node.statistics().queued == 8);
    held.released.set(0);
    held.graph.wait_for_all();
    CHECK(held.lengths.values() == std::vector<std::size_t>(10, large_text.size()));
}

TEST_CASE("An input_node stops producing while the bytes are used up, and nothing is lost") {
    const bounded_test bounds;
    held_node<tbb::flow::rejecting> held;
    std::atomic<std::size_t> produced{0};
    constexpr std::size_t total = 100;
    tbb::flow::input_node<std::string> input(held.graph, [&](tbb::flow_control& control) {
        if (produced == total) {
            control.stop();
            return std::string();
        }
        ++produced;
        return std::string(produced * 611 % (60 * kibibyte), 'y');
    });
    tbb::flow::make_edge(input, held.node);
    input.activate();
    while (held.node.statistics().in_flight < 2) { // it has begun
        std::this_thread::yield();
    }
    CHECK(held.node.statistics().in_flight < total);
    held.released.set(0);
    held.graph.wait_for_all();
    CHECK(held.lengths.size() == total);
}

TEST_CASE("Many threads put into one node whose messages may be as large as all bytes") {
    const bounded_test bounds;
    pool_options options = bounded_by_bytes();
    options.window_bytes = options.max_message_bytes;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::string, std::size_t> node(
        graph, options, [](const std::string& text) { return text.size(); });
    const recorder<std::size_t> lengths(graph, node);
    std::atomic<int> refused{0};
    std::vector<std::thread> putters;
    for (int k = 0; k < 3; ++k) {
        putters.emplace_back([&] {
            for (std::size_t i = 0; i < 100; ++i) {
                refused += node.put(std::string(i % 50 * kibibyte, 'x'), 60s) ? 0 : 1;
            }
        });
    }
    for (std::thread& putter : putters) {
        putter.join();
    }
    graph.wait_for_all();
    CHECK(refused == 0);
    CHECK(lengths.size() == 300);
}

TEST_CASE("A message larger than all bytes is a failure in its place, and no backpressure") {
    const bounded_test bounds;
    using outcome = std::variant<std::size_t, failure>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::string, outcome, tbb::flow::rejecting> node(
        graph, pool_options{.workers = 1, .window_bytes = 10 * kibibyte},
        [](const std::string& text) { return text.size(); });
    const recorder<outcome> outcomes(graph, node);
    CHECK(node.put("before", 60s));
    CHECK(node.put(large_text, 60s));
    CHECK(node.put("behind it", 60s));
    graph.wait_for_all();
    const auto seen = outcomes.values();
    REQUIRE(seen.size() == 3);
    CHECK(std::get<std::size_t>(seen[0]) == 6);
    CHECK(std::get<failure>(seen[1]).kind == failure_kind::too_large);
    CHECK(std::get<failure>(seen[1]).sequence == 1);
    CHECK(std::get<std::size_t>(seen[2]) == 9);
}

} // namespace window_bytes_node_test
