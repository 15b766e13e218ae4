// SPDX-License-Identifier: MIT
// Neighbours of every kind: whoever can be a predecessor or a successor of a oneTBB node passes each message
// once and in order, whoever refuses whom; and edges come and go while messages flow.
#include "support/catch.hpp"
#include "support/engine_watchdog.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/node_makers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/graph/protocol.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <numeric>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

namespace edges_test {

namespace flow = tbb::flow;
using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::eventually;
using forkflow_test::in_processes;
using forkflow_test::in_threads;
using forkflow_test::int_node;
using forkflow_test::recorder;
using forkflow_test::rejecting_node;
using forkflow_test::rejecting_sink;
using forkflow_test::same;
using forkflow_test::shared_flags;
using forkflow_test::sorted;
using forkflow_test::up_to;

namespace {

constexpr int count = 500;

pool_options narrow() {
    return {.workers = 2, .window = 2, .requests = 2};
}

void put_all(flow::receiver<int>& to) {
    for (int i = 0; i < count; ++i) {
        REQUIRE(to.try_put(i));
    }
}

/// What comes out of a narrow rejecting node that follows `buffer`.
template <class Maker>
std::vector<int> through_narrow_node(flow::graph& g, flow::sender<int>& buffer, flow::receiver<int>& entry) {
    typename Maker::template node<int, int, flow::rejecting> node(g, Maker::few_messages(), same);
    const recorder<int> results(g, node);
    flow::make_edge(buffer, node);
    put_all(entry);
    g.wait_for_all();
    flow::remove_edge(buffer, node);
    return Maker::comparable(results.values());
}

} // namespace

TEMPLATE_TEST_CASE("A node that refuses pulls every message from each kind of buffer as soon as it has room",
                   "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    SECTION("queue_node, in its order") {
        flow::queue_node<int> buffer(g);
        CHECK(through_narrow_node<TestType>(g, buffer, buffer) == up_to(count));
    }
    SECTION("buffer_node") {
        flow::buffer_node<int> buffer(g);
        CHECK(sorted(through_narrow_node<TestType>(g, buffer, buffer)) == up_to(count));
    }
    SECTION("priority_queue_node") {
        flow::priority_queue_node<int> buffer(g);
        CHECK(sorted(through_narrow_node<TestType>(g, buffer, buffer)) == up_to(count));
    }
    SECTION("sequencer_node, in its order") {
        flow::sequencer_node<int> buffer(
            g, [](int message) noexcept { return static_cast<std::size_t>(message); });
        CHECK(through_narrow_node<TestType>(g, buffer, buffer) == up_to(count));
    }
}

TEMPLATE_TEST_CASE("A node that refuses holds up an input_node, and gets all that it makes", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    int next = 0;
    flow::input_node<int> source(g, [&](tbb::flow_control& control) {
        if (next == count) {
            control.stop();
            return 0;
        }
        return next++;
    });
    typename TestType::template node<int, int, flow::rejecting> node(g, TestType::few_messages(), same);
    const recorder<int> results(g, node);
    flow::make_edge(source, node);
    source.activate();
    g.wait_for_all();
    CHECK(TestType::comparable(results.values()) == up_to(count));
}

TEST_CASE("A node that refuses a limiter_node leaves the message with the buffer before it") {
    const bounded_test bounds;
    flow::graph g;
    flow::queue_node<int> buffer(g);
    flow::limiter_node<int> limiter(g, 3);
    rejecting_node node(g, {.workers = 1, .window = 1, .requests = 1}, same);
    std::vector<int> got;
    flow::function_node<int, flow::continue_msg> sink(g, flow::serial, [&](int message) {
        got.push_back(message);
        return flow::continue_msg();
    });
    flow::make_edge(buffer, limiter);
    flow::make_edge(limiter, node);
    flow::make_edge(node, sink);
    flow::make_edge(sink, limiter.decrementer());
    put_all(buffer);
    g.wait_for_all();
    CHECK(got == up_to(count));
}

TEMPLATE_TEST_CASE("A node pulls tuples from queueing and from reserving join_nodes", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    using pair = std::tuple<int, int>;
    const auto run = [](auto policy) {
        flow::graph g;
        flow::queue_node<int> left(g);
        flow::queue_node<int> right(g);
        flow::join_node<pair, decltype(policy)> join(g);
        typename TestType::template node<pair, int, flow::rejecting> node(
            g, TestType::few_messages(),
            [](const pair& both) { return std::get<0>(both) + std::get<1>(both); });
        const recorder<int> results(g, node);
        flow::make_edge(left, flow::input_port<0>(join));
        flow::make_edge(right, flow::input_port<1>(join));
        flow::make_edge(join, node);
        for (int i = 0; i < count; ++i) {
            left.try_put(i);
            right.try_put(1000 - i);
        }
        g.wait_for_all();
        CHECK(results.values() == std::vector<int>(count, 1000));
    };
    run(flow::queueing());
    run(flow::reserving());
}

TEST_CASE("No message is taken from a buffer that cannot be admitted") {
    const bounded_test bounds;
    const shared_flags flags(2);
    flow::graph g;
    flow::queue_node<int> buffer(g);
    rejecting_node node(g, {.workers = 1, .window = 1, .requests = 1}, [&](int message) {
        flags.set(0);
        flags.wait_for(1);
        return message;
    });
    const recorder<int> results(g, node);
    flow::make_edge(buffer, node);
    for (int i = 0; i < 3; ++i) {
        buffer.try_put(i);
    }
    flags.wait_for(0);               // message 0 is in its body, and no other has room
    CHECK_FALSE(node.put(99, 20ms)); // nor has it room after it has looked again
    const forkflow::statistics full = node.statistics();
    CHECK(full.received == 1);
    CHECK(full.queued == 0);
    flow::remove_edge(buffer, node);
    for (const int left : {1, 2}) { // the buffer has them all, for whoever asks
        int value = -1;
        CHECK(buffer.try_get(value));
        CHECK(value == left);
    }
    int none = -1;
    CHECK_FALSE(buffer.try_get(none));
    flags.set(1);
    g.wait_for_all();
    CHECK(results.values() == up_to(1));
    flow::make_edge(buffer, node);
    buffer.try_put(1);
    g.wait_for_all();
    CHECK(results.values() == up_to(2));
}

TEST_CASE("Many predecessors of a node that refuses all get their turn") {
    const bounded_test bounds;
    flow::graph g;
    rejecting_node node(g, narrow(), same);
    const recorder<int> results(g, node);
    std::vector<std::unique_ptr<flow::queue_node<int>>> buffers;
    for (int b = 0; b < 8; ++b) {
        buffers.push_back(std::make_unique<flow::queue_node<int>>(g));
        flow::make_edge(*buffers.back(), node);
    }
    for (int i = 0; i < 8 * count; ++i) {
        buffers[static_cast<std::size_t>(i) % buffers.size()]->try_put(i);
    }
    g.wait_for_all();
    const std::vector<int> values = results.values();
    CHECK(sorted(values) == up_to(8 * count));
    std::vector<int> last(8, -1);
    for (const int value : values) { // each buffer's messages keep their order
        int& before = last[static_cast<std::size_t>(value) % 8];
        CHECK(before < value);
        before = value;
    }
}

TEST_CASE("Edges to predecessors and successors are made and removed while messages flow") {
    const bounded_test bounds;
    constexpr int held = 50;
    const shared_flags flags(1);
    flow::graph g;
    flow::queue_node<int> buffer(g);
    rejecting_node node(g, narrow(), [&](int message) {
        if (message == held) {
            flags.wait_for(0);
        }
        return message;
    });
    const recorder<int> results(g, node);
    std::vector<int> seen_by_other;
    std::atomic<bool> other_has_some = false;
    flow::function_node<int, int, flow::rejecting> other(g, flow::serial, [&](int message) {
        seen_by_other.push_back(message);
        other_has_some = true;
        return message;
    });
    flow::make_edge(buffer, node);
    flow::make_edge(node, other);
    g.reserve_wait();
    int changes = 0;
    bool other_took = false;
    std::thread changer([&] {
        other_took = eventually([&] { return other_has_some.load(); });
        while (results.size() < count) {
            flow::remove_edge(node, other);
            flow::remove_edge(buffer, node);
            std::this_thread::yield();
            flow::make_edge(buffer, node);
            flow::make_edge(node, other);
            if (++changes == 10) {
                flags.set(0); // from here on to the end messages flow
            }
            std::this_thread::yield(); // with hardly any time between make and remove nothing would
        }
        g.release_wait();
    });
    put_all(buffer);
    g.wait_for_all();
    changer.join();
    g.wait_for_all();
    const std::vector<int> values = results.values();
    CHECK(sorted(values) == up_to(count)); // an edge may be there twice for a moment
    CHECK(other_took);
    CHECK(changes > 10);
    // The other gets some of them, each at most once, in the order in which they left.
    auto at = values.begin();
    for (const int seen : seen_by_other) {
        at = std::find(at, values.end(), seen);
        REQUIRE(at != values.end());
        ++at;
    }
}

TEST_CASE("Successors that refuse get every outcome in order, by pulling and by reserving") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, narrow(), same);
    std::vector<int> pulled;
    rejecting_sink sink(g, flow::serial, [&](int message) {
        pulled.push_back(message);
        return message;
    });
    // A limiter reserves and consumes; a reserving join reserves and often releases.
    flow::limiter_node<int> limiter(g, 1);
    std::vector<int> limited;
    flow::function_node<int, flow::continue_msg> after_limiter(g, flow::serial, [&](int message) {
        limited.push_back(message);
        return flow::continue_msg();
    });
    flow::queue_node<int> partner(g);
    flow::join_node<std::tuple<int, int>, flow::reserving> join(g);
    std::vector<int> joined;
    flow::function_node<std::tuple<int, int>, int, flow::rejecting> after_join(
        g, flow::serial, [&](auto both) {
            joined.push_back(std::get<0>(both));
            return 0;
        });
    rejecting_node next(g, {.workers = 1, .window = 1, .requests = 1}, same);
    const recorder<int> through_next(g, next);
    flow::make_edge(node, sink);
    flow::make_edge(node, limiter);
    flow::make_edge(limiter, after_limiter);
    flow::make_edge(after_limiter, limiter.decrementer());
    flow::make_edge(node, flow::input_port<0>(join));
    flow::make_edge(partner, flow::input_port<1>(join));
    flow::make_edge(join, after_join);
    flow::make_edge(node, next);
    put_all(node);
    put_all(partner);
    g.wait_for_all();
    CHECK(pulled == up_to(count));
    CHECK(limited == up_to(count));
    CHECK(joined == up_to(count));
    CHECK(through_next.values() == up_to(count));
}

TEST_CASE("An outcome that was reserved and released is still there") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, narrow(), same);
    flow::limiter_node<int> limiter(g, 100);
    rejecting_node full(g, {.workers = 1, .window = 1, .requests = 1}, same); // lets the limiter release
    const recorder<int> results(g, full);
    flow::make_edge(node, limiter);
    flow::make_edge(limiter, full);
    for (int i = 0; i < 100; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    CHECK(results.values() == up_to(100));
}

TEST_CASE(
    "A write_once_node keeps the first outcome, an overwrite_node the last, and neither holds up others") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, narrow(), same);
    flow::write_once_node<int> first(g);
    flow::overwrite_node<int> last(g);
    const recorder<int> results(g, node);
    flow::make_edge(node, first);
    flow::make_edge(node, last);
    put_all(node);
    g.wait_for_all();
    int value = -1;
    CHECK((first.try_get(value) && value == 0));
    CHECK((last.try_get(value) && value == count - 1));
    CHECK(results.values() == up_to(count));
}

TEMPLATE_TEST_CASE("A continue_node waits for the node like for any predecessor, until the edge is removed",
                   "", in_threads, in_processes) {
    const bounded_test bounds;
    flow::graph g;
    using signalling = typename TestType::template node<int, flow::continue_msg>;
    const auto done = [](int /*message*/) { return flow::continue_msg(); };
    signalling one(g, 1, done);
    signalling two(g, 1, done);
    std::atomic<int> runs = 0;
    flow::continue_node<flow::continue_msg> both(g, [&](flow::continue_msg message) {
        ++runs;
        return message;
    });
    flow::make_edge(one, both);
    flow::make_edge(two, both);
    one.try_put(1);
    g.wait_for_all();
    CHECK(runs == 0);
    two.try_put(1);
    g.wait_for_all();
    CHECK(runs == 1);
    flow::remove_edge(two, both);
    one.try_put(1);
    g.wait_for_all();
    CHECK(runs == 2);
}

TEST_CASE("A node with a priority emits before one that has none") {
    const bounded_test bounds;
    flow::graph g;
    struct mark {
        int of = 0;
    };
    using message = std::variant<int, mark>;
    using node_type = forkflow::ordered_process_node<message, message>;
    const auto body = [](int number) { return number; };
    tbb::task_arena one_thread(1);
    one_thread.execute([&] {
        g.reset(); // works in this arena from now on
        node_type low(g, 1, body);
        node_type high(g, 1, body, flow::node_priority_t(1));
        flow::buffer_node<message> nothing(g);
        std::vector<int> order;
        flow::function_node<message, int, flow::lightweight> sink(g, flow::unlimited,
                                                                  [&](const message& one) noexcept {
                                                                      order.push_back(std::get<mark>(one).of);
                                                                      return 0;
                                                                  });
        flow::make_edge(low, sink);
        flow::make_edge(high, sink);
        flow::function_node<int, int> both(g, flow::serial, [&](int number) {
            // Both nodes want their turn, and the only thread is here. First, or the thread that hears of the
            // outcomes might ask for a turn: as it is not of the arena, when that is heard is anybody's
            // guess. Without priorities the last to ask would get the first turn.
            forkflow::graph::let_pull<message>(high, nothing);
            forkflow::graph::let_pull<message>(low, nothing);
            high.try_put(mark{2}); // markers are outcomes at once
            low.try_put(mark{1});
            return number;
        });
        both.try_put(0);
        g.wait_for_all();
        CHECK(order == std::vector<int>{2, 1});
    });
}

TEST_CASE(
    "A successor with a priority is offered an outcome before those without, though its edge is later") {
    const bounded_test bounds;
    flow::graph g;
    int_node node(g, 1, same);
    std::vector<int> order;
    // Lightweight: each body runs in the thread that emits, when its turn comes.
    using noting = flow::function_node<int, int, flow::lightweight>;
    const auto note = [&](int which) {
        return [&order, which](int message) noexcept {
            order.push_back(which);
            return message;
        };
    };
    noting early(g, flow::unlimited, note(1));
    noting late(g, flow::unlimited, note(2));
    noting prior(g, flow::unlimited, note(3), flow::node_priority_t(1));
    flow::make_edge(node, early);
    flow::make_edge(node, late);
    flow::make_edge(node, prior);
    node.try_put(0);
    g.wait_for_all();
    CHECK(order == std::vector<int>{3, 1, 2});
}

} // namespace edges_test
