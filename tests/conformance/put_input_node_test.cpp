// SPDX-License-Identifier: MIT
// An input_node before a node, and bodies that put or wait for one that does: oneTBB calls an input_node's
// body with the node's lock held, so who asks it meanwhile waits.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/one_thread.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace put_input_node_test {

namespace flow = tbb::flow;
using forkflow_test::bounded_test;
using forkflow_test::counting_source;
using forkflow_test::for_ever;
using forkflow_test::make_chain;
using forkflow_test::recorder;
using forkflow_test::rejecting_node;
using forkflow_test::rejecting_sink;
using forkflow_test::same;
using forkflow_test::sink_into;
using forkflow_test::sorted;
using forkflow_test::tiny;
using forkflow_test::up_to;
using forkflow_test::with_one_thread;

namespace {

constexpr int count = 300;

/// What two chains let through: a source's numbers and, beside, those that bodies put into one of them.
struct two_chains {
    static constexpr int every_seventh = count;   ///< added to what the one source's body puts
    static constexpr int between = 2 * count;     ///< to what a body at the end of the other chain puts
    static constexpr int every_fifth = 3 * count; ///< and further down

    static void run(flow::graph& g, std::size_t window, std::vector<int>& got) {
        const forkflow::pool_options small{.workers = 1, .window = window, .requests = window};
        rejecting_node first(g, small, same);
        rejecting_node second(g, tiny(), same);
        rejecting_node other_first(g, tiny(), same);
        rejecting_node other_second(g, small, same);
        auto source = counting_source(g, count, [](int /*message*/) {});
        auto other_source = counting_source(g, count, [&other_first](int message) {
            if (message % 7 == 0) {
                CHECK(other_first.put(every_seventh + message, for_ever));
            }
        });
        rejecting_sink end(g, flow::serial, [&](int message) {
            CHECK(other_first.put(between + message, for_ever));
            if (message % 5 == 0) {
                CHECK(other_second.put(every_fifth + message, for_ever));
            }
            return message;
        });
        rejecting_sink sink = sink_into(got, g);
        make_chain(source, first, second, end);
        make_chain(other_source, other_first, other_second, sink);
        source.activate();
        other_source.activate();
        g.wait_for_all();
    }

    static std::vector<int> expected() {
        std::vector<int> all;
        for (int message = 0; message < count; ++message) {
            all.push_back(message);
            all.push_back(between + message);
            if (message % 7 == 0) {
                all.push_back(every_seventh + message);
            }
            if (message % 5 == 0) {
                all.push_back(every_fifth + message);
            }
        }
        return sorted(all);
    }
};

} // namespace

TEST_CASE("With one thread, a put from outside gets in while the predecessor's body waits for it") {
    const bounded_test bounds;
    std::atomic<int> put = 0;
    std::vector<int> got;
    with_one_thread([&](flow::graph& g) {
        rejecting_node node(g, tiny(), same);
        const recorder<int> sink(g, node);
        auto source = counting_source(g, count, [&put](int made) {
            for (int now = put; now < made; now = put) { // the node has refused some of ours by then
                put.wait(now);
            }
        });
        flow::make_edge(source, node);
        std::thread outside([&] {
            while (put < count) {
                const bool in_time = node.put(count, for_ever);
                put += in_time ? 1 : count;
                put.notify_all();
            }
        });
        source.activate();
        g.wait_for_all();
        outside.join();
        g.wait_for_all();
        got = sink.values();
    });
    CHECK(put == count);
    CHECK(std::count(got.begin(), got.end(), count) == count);
    std::erase(got, count);
    CHECK(got == up_to(count));
}

TEST_CASE("With one thread, an input_node's body puts into the node that the input_node feeds") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        rejecting_node node(g, tiny(), same);
        std::vector<int> got;
        rejecting_sink sink = sink_into(got, g);
        auto source =
            counting_source(g, count, [&node](int made) { CHECK(node.put(count + made, for_ever)); });
        make_chain(source, node, sink);
        source.activate();
        g.wait_for_all();
        CHECK(sorted(got) == up_to(2 * count));
    });
}

TEST_CASE("With one thread, input_nodes before two chains get all through, though bodies of one put into the "
          "other") {
    const bounded_test bounds;
    constexpr std::size_t rounds = forkflow_test::scaled_down(30);
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<int> got;
        with_one_thread([&](flow::graph& g) { two_chains::run(g, 1 + round % 3, got); });
        CHECK(sorted(got) == two_chains::expected());
    }
}

} // namespace put_input_node_test
