// SPDX-License-Identifier: MIT
// put from inside the graph: who waits for room helps to make it, so that nobody waits for ever, even if all
// threads of the graph wait. And what is inside a chain of nodes stays bounded.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/one_thread.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/graph/protocol.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace put_test {

namespace flow = tbb::flow;
using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::counting_source;
using forkflow_test::for_ever;
using forkflow_test::int_node;
using forkflow_test::make_chain;
using forkflow_test::recorder;
using forkflow_test::rejecting_node;
using forkflow_test::rejecting_sink;
using forkflow_test::same;
using forkflow_test::shared_flags;
using forkflow_test::sink_into;
using forkflow_test::sorted;
using forkflow_test::tiny;
using forkflow_test::up_to;
using forkflow_test::with_one_thread;

namespace {

constexpr int count = 300;

/// A functional node whose bodies put what they get into `to`.
template <class Node>
flow::function_node<int, int> putter(flow::graph& g, std::size_t concurrency, Node& to,
                                     std::chrono::hours patience = for_ever) {
    return flow::function_node<int, int>(g, concurrency, [&to, patience](int message) {
        if (!to.put(message, patience)) {
            throw std::runtime_error("there was no room");
        }
        return message;
    });
}

void put_all(flow::receiver<int>& to, int messages = count) {
    for (int i = 0; i < messages; ++i) {
        REQUIRE(to.try_put(i));
    }
}

} // namespace

TEST_CASE("With one thread, bodies that put into a full node get all through, whoever takes the outcomes") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        int_node node(g, tiny(), same);
        auto serial = putter(g, flow::serial, node);
        auto unlimited = putter(g, flow::unlimited, node);
        const recorder<int> quick(g, node);
        std::vector<int> queued;
        flow::function_node<int, int> after(g, flow::serial, [&](int message) {
            queued.push_back(message);
            return message;
        });
        flow::make_edge(node, after);
        put_all(serial);
        g.wait_for_all();
        CHECK(quick.values() == up_to(count));
        CHECK(queued == up_to(count));
        put_all(unlimited);
        g.wait_for_all();
        CHECK(quick.size() == 2 * count);
        CHECK(queued.size() == 2 * count);
    });
}

TEST_CASE("With one thread, bodies that put into a full node get all through to a successor that refuses") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        int_node node(g, tiny(), same);
        auto bodies = putter(g, flow::serial, node);
        std::vector<int> got;
        rejecting_sink sink = sink_into(got, g);
        flow::make_edge(node, sink);
        SECTION("without a deadline") {
            put_all(bodies);
        }
        SECTION("with a deadline") {
            auto patient = putter(g, flow::serial, node, 1h);
            put_all(patient);
            g.wait_for_all();
        }
        g.wait_for_all();
        CHECK(got == up_to(count));
    });
}

TEST_CASE("With one thread, bodies that wait on top of each other get all through a rejecting node") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        constexpr int nested =
            forkflow_test::scaled_down(20'000); // far more than the stack of a thread holds
        rejecting_node node(g, tiny(), same);
        std::vector<int> got;
        int begun = 0;
        const auto put_all_through = [&](const auto& before_last) {
            flow::function_node<int, int> bodies(g, flow::unlimited, [&](int message) {
                if (++begun == nested) {
                    before_last();
                }
                CHECK(node.put(message, message % 2 == 0 ? for_ever : 1h));
                return message;
            });
            put_all(bodies, nested);
            g.wait_for_all();
            CHECK(sorted(got) == up_to(nested));
        };
        SECTION("before a sink that takes one at a time") {
            rejecting_sink sink = sink_into(got, g);
            flow::make_edge(node, sink);
            put_all_through([] {});
        }
        SECTION("before a sink that refuses until the last of them has begun") {
            bool open = false;
            flow::sender<int>* refused = nullptr;
            forkflow_test::own_receiver<int> sink(
                g,
                [&](int message) {
                    if (open) {
                        got.push_back(message);
                    }
                    return open;
                },
                [&](flow::sender<int>& from) { refused = &from; });
            flow::make_edge<int>(node, sink);
            put_all_through([&] {
                REQUIRE(refused != nullptr);
                open = true;
                forkflow::graph::let_push<int>(*refused, sink);
            });
        }
    });
}

TEST_CASE("With one thread, bodies that put get all through a chain of nodes that refuse each other") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        rejecting_node first(g, tiny(), same);
        rejecting_node second(g, tiny(), same);
        rejecting_node third(g, tiny(), same);
        auto bodies = putter(g, flow::unlimited, first);
        const recorder<int> results(g, third);
        flow::make_edge(first, second);
        flow::make_edge(second, third);
        put_all(bodies);
        g.wait_for_all();
        CHECK(sorted(results.values()) == up_to(count));
    });
}

TEST_CASE("All threads of the graph may be in put at once") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, {.workers = 2, .window = 2, .requests = 2}, same);
    auto bodies = putter(g, flow::unlimited, node);
    std::vector<int> got;
    rejecting_sink sink = sink_into(got, g);
    flow::make_edge(node, sink);
    for (int round = 0; round < 5; ++round) {
        got.clear();
        put_all(bodies);
        g.wait_for_all();
        CHECK(sorted(got) == up_to(count));
    }
}

TEST_CASE("All threads may wait in put, each with more bodies than its stack holds") {
    const bounded_test bounds;
    constexpr int messages = forkflow_test::scaled_down(40'000);
    const tbb::global_control four(tbb::global_control::max_allowed_parallelism, 4);
    tbb::task_arena arena(4);
    arena.execute([] {
        flow::graph g;
        rejecting_node node(g, tiny(), same);
        auto bodies = putter(g, flow::unlimited, node);
        std::vector<int> got;
        rejecting_sink sink = sink_into(got, g);
        flow::make_edge(node, sink);
        put_all(bodies, messages);
        g.wait_for_all();
        CHECK(sorted(got) == up_to(messages));
    });
}

TEST_CASE("put from a parallel loop, from another arena and from an isolated region") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, tiny(), same);
    const recorder<int> results(g, node);
    const auto loop = [&] { tbb::parallel_for(0, count, [&](int i) { CHECK(node.put(i, for_ever)); }); };
    SECTION("a parallel loop") {
        loop();
    }
    SECTION("another arena") {
        tbb::task_arena other(2);
        other.execute(loop);
    }
    SECTION("an isolated region") {
        tbb::this_task_arena::isolate(loop);
    }
    g.wait_for_all();
    CHECK(sorted(results.values()) == up_to(count));
}

TEST_CASE("A successor that the node is emitting to does not wait for room, as only it could make some") {
    const bounded_test bounds;
    const shared_flags flags(1);
    flow::graph g;
    const auto body = [&](int message) {
        if (message != 0) {
            flags.wait_for(0);
        }
        return message;
    };
    const auto answer_in = [&](auto& node) {
        bool answer = false;
        // Lightweight: both bodies run in the thread that emits, one after the other.
        flow::function_node<int, int, flow::lightweight> back(g, flow::unlimited, [&](int message) noexcept {
            if (message == 0) {
                for (int i = 0; i < 10; ++i) {
                    node.try_put(1);
                }
                answer = node.put(2, for_ever);
            }
            return message;
        });
        flow::function_node<int, int, flow::lightweight> open(g, flow::unlimited, [&](int message) noexcept {
            flags.set(0);
            return message;
        });
        flow::make_edge(node, back);
        flow::make_edge(node, open);
        node.try_put(0);
        g.wait_for_all();
        return answer;
    };
    SECTION("a rejecting node refuses at once") {
        rejecting_node node(g, tiny(), body);
        CHECK_FALSE(answer_in(node));
    }
    SECTION("a queueing node queues the message") {
        int_node node(g, tiny(), body);
        CHECK(answer_in(node));
    }
}

TEST_CASE("What a successor throws while put helps to emit comes out of wait_for_all") {
    const bounded_test bounds;
    with_one_thread([](flow::graph& g) {
        int_node node(g, tiny(), same);
        forkflow_test::own_receiver<int> successor(
            g, [](int /*message*/) -> bool { throw std::runtime_error("thrown while emitting"); });
        flow::make_edge<int>(node, successor);
        for (int i = 0; i < 20; ++i) {
            CHECK(node.put(i, for_ever)); // helps, as nobody else runs the graph
        }
        CHECK_THROWS_WITH(g.wait_for_all(), "thrown while emitting");
        g.reset();
        flow::remove_edge<int>(node, successor);
        const recorder<int> results(g, node);
        node.try_put(7);
        g.wait_for_all();
        CHECK(results.values() == std::vector<int>{7});
    });
}

TEST_CASE("put gives up in time when a successor refuses for ever") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, tiny(), same);
    flow::limiter_node<int> closed(g, 0);
    flow::make_edge(node, closed);
    // One outcome waits for the successor, and one message has the window's place behind it.
    const auto fill = [&] {
        int taken = 0;
        while (node.put(taken, taken < 2 ? for_ever : 20ms)) {
            ++taken;
        }
        return taken;
    };
    SECTION("outside of the graph") {
        CHECK(fill() >= 2);
    }
    SECTION("inside") {
        int taken = 0;
        flow::function_node<int, int> inside(g, flow::serial, [&](int message) {
            taken = fill();
            return message;
        });
        inside.try_put(0);
        g.wait_for_all();
        CHECK(taken >= 2);
    }
    g.wait_for_all();
}

TEST_CASE(
    "The peak of live messages in three stages before a slow sink is bounded by the sum of the windows") {
    const bounded_test bounds;
    const auto peak_for = [](int length) {
        flow::graph g;
        const pool_options options{.workers = 2, .window = 4, .requests = 2};
        std::atomic<int> live = 0;
        int peak = 0;
        auto source = counting_source(g, length, [&](int /*message*/) {
            peak = std::max(peak, ++live); // the source is serial
        });
        rejecting_node first(g, options, same);
        rejecting_node second(g, options, same);
        rejecting_node third(g, options, same);
        int next = 0;
        rejecting_sink sink(g, flow::serial, [&](int message) {
            CHECK(message == next++);
            const auto end = std::chrono::steady_clock::now() + 20us; // slower than all before it
            while (std::chrono::steady_clock::now() < end) {
            }
            --live;
            return message;
        });
        make_chain(source, first, second, third, sink);
        source.activate();
        g.wait_for_all();
        CHECK(next == length);
        // Each stage holds what waits or runs, the window, and one outcome that its successor has refused;
        // the source and the sink hold one each.
        CHECK(peak <= 3 * (2 + 4 + 1) + 2);
        return peak;
    };
    peak_for(100);
    peak_for(5000);
}

} // namespace put_test
