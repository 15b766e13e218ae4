// SPDX-License-Identifier: MIT
// Cancel and reset: whoever cancels, and when, wait_for_all returns, what runs is finished or killed as the
// options say, and after a reset with any flags a new stream passes from its beginning, in order.
#include "support/catch.hpp"
#include "support/engine_watchdog.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/node_makers.hpp"
#include "support/one_thread.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

namespace cancel_test {

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
using forkflow_test::same;
using forkflow_test::shared_flags;
using forkflow_test::up_to;

namespace {

constexpr int count = 100;

void put_all(flow::receiver<int>& to) {
    for (int i = 0; i < count; ++i) {
        REQUIRE(to.try_put(i));
    }
}

/// What comes out of the reset graph if a new stream is put in: all of it, in order, and nothing else.
void check_new_stream(flow::graph& g, flow::receiver<int>& entry, const recorder<int>& results) {
    const std::size_t before = results.size();
    put_all(entry);
    g.wait_for_all();
    CHECK_FALSE(g.is_cancelled());
    const std::vector<int> all = results.values();
    REQUIRE(all.size() >= before);
    CHECK(std::vector<int>(all.begin() + static_cast<std::ptrdiff_t>(before), all.end()) == up_to(count));
}

/// Hangs in every message above `last_quick`, until the flag is set; tells how many hang.
struct hanging_body {
    const shared_flags& flags;
    int last_quick = -1;
    enum : std::size_t { hanging, let_go, flags_count };

    int operator()(int message) const {
        if (message > last_quick && flags.get(let_go) == 0) {
            flags.add(hanging);
            flags.wait_for(let_go);
        }
        return message;
    }
};

pool_options killing() {
    return {.workers = 2, .window = 20, .attempts = 5, .kill_on_cancel = true};
}

} // namespace

TEMPLATE_TEST_CASE("A graph is cancelled before its first message, and nothing comes out", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    typename TestType::template node<int, int> node(g, flow::serial, same);
    const recorder<int> results(g, node);
    g.cancel();
    put_all(node);
    g.wait_for_all();
    CHECK(g.is_cancelled());
    CHECK(results.size() == 0);
    g.reset();
    put_all(node);
    g.wait_for_all();
    CHECK_FALSE(g.is_cancelled());
    CHECK(TestType::comparable(results.values()) == up_to(count));
}

TEMPLATE_TEST_CASE("A successor's body may cancel the graph, and no outcome comes after it", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    typename TestType::template node<int, int> node(g, flow::serial, same);
    bool cancelling = true;
    std::vector<int> got; // kept here: a serial node begins the next message before it hands on the last
    flow::function_node<int> canceller(g, flow::serial, [&](int message) {
        got.push_back(message);
        if (cancelling && message == 5) {
            g.cancel();
        }
    });
    flow::make_edge(node, canceller);
    put_all(node);
    g.wait_for_all();
    CHECK(g.is_cancelled());
    CHECK(got.back() == 5);
    if (std::is_same_v<TestType, in_processes>) {
        CHECK(got == up_to(6));
    }
    cancelling = false;
    got.clear();
    g.reset();
    put_all(node);
    g.wait_for_all();
    CHECK(TestType::comparable(got) == up_to(count));
}

TEST_CASE("A graph is cancelled while bodies inside it and threads outside wait in put") {
    const bounded_test bounds;
    const shared_flags flags(hanging_body::flags_count);
    flow::graph g;
    rejecting_node node(g, {.workers = 1, .window = 1, .requests = 1}, hanging_body{flags});
    const recorder<int> results(g, node);
    flow::function_node<int, int> inside(g, flow::unlimited, [&](int message) {
        node.put(message, 1h);
        return message;
    });
    for (int i = 0; i < 10; ++i) {
        inside.try_put(i);
    }
    std::thread outside([&] {
        for (int i = 0; i < 10; ++i) {
            CHECK(node.put(i, 1h)); // room appears as abandoned messages end
        }
    });
    flags.wait_for(hanging_body::hanging);
    g.cancel();
    flags.set(hanging_body::let_go);
    g.wait_for_all();
    outside.join();
    g.wait_for_all();
    g.reset();
    const std::size_t before = results.size();
    REQUIRE(node.try_put(77));
    g.wait_for_all();
    CHECK(results.size() == before + 1);
    CHECK(results.values().back() == 77);
}

TEST_CASE("After a reset with any flags a new stream passes in order, and nothing of the old one") {
    const bounded_test bounds;
    const auto flags = GENERATE(flow::rf_reset_protocol, flow::rf_reset_bodies, flow::rf_clear_edges,
                                static_cast<flow::reset_flags>(flow::rf_reset_bodies | flow::rf_clear_edges));
    flow::graph g;
    int_node first(g, 2, same);
    rejecting_node second(g, 1, same);
    recorder<int> results(g);
    for (int round = 0; round < 10; ++round) {
        if (round == 0 || (flags & flow::rf_clear_edges) != 0) {
            flow::make_edge(first, second);
            flow::make_edge(second, results.node());
        }
        const std::size_t enough = results.size() + 3;
        put_all(first);
        std::thread canceller([&] {
            results.wait_for(enough);
            g.cancel();
        });
        g.wait_for_all();
        canceller.join();
        g.wait_for_all();
        g.reset(flags);
        if ((flags & flow::rf_clear_edges) != 0) {
            put_all(first); // goes nowhere
            const std::size_t before = results.size();
            g.wait_for_all();
            CHECK(results.size() == before);
            flow::make_edge(first, second);
            flow::make_edge(second, results.node());
        }
        check_new_stream(g, first, results);
        if ((flags & flow::rf_clear_edges) != 0) {
            g.reset(flags);
        }
    }
}

namespace {

/// Each says that it has begun, waits for its own leave, and says that it has ended.
struct held_body {
    const shared_flags& flags;
    enum : std::size_t { begun, ended, leave_of_first, flags_count = leave_of_first + 2 };

    int operator()(int message) const {
        flags.add(begun);
        flags.wait_for(leave_of_first + static_cast<std::size_t>(message));
        flags.add(ended);
        return message;
    }
};

} // namespace

TEST_CASE("What no worker has begun when the graph is cancelled never begins, and what runs is finished") {
    const bounded_test bounds;
    const shared_flags flags(held_body::flags_count);
    flow::graph g;
    int_node node(g, {.workers = 2}, held_body{flags});
    const recorder<int> results(g, node);
    for (int message = 0; message < 10; ++message) {
        node.try_put(message);
    }
    REQUIRE(eventually([&] { return flags.get(held_body::begun) == 2; }));
    g.cancel();
    // Message 1 is over while message 0 goes on, so nothing comes out that could tell the node.
    REQUIRE(eventually([&] { return node.statistics().waiting == 0; }));
    flags.add(held_body::leave_of_first + 1);
    REQUIRE(eventually([&] { return flags.get(held_body::ended) == 1; }));
    flags.add(held_body::leave_of_first);
    g.wait_for_all();
    CHECK(flags.get(held_body::begun) == 2);
    CHECK(flags.get(held_body::ended) == 2);
    CHECK(node.statistics().deaths == 0);
    CHECK(node.statistics().dropped == 10);
    CHECK(results.size() == 0);
}

TEST_CASE("With kill_on_cancel, bodies that hang do not keep wait_for_all, and run once") {
    const bounded_test bounds;
    const shared_flags flags(hanging_body::flags_count);
    flow::graph g;
    int_node node(g, killing(), hanging_body{flags});
    const recorder<int> results(g, node);
    put_all(node);
    flags.wait_for(hanging_body::hanging, 2);
    std::thread canceller;
    std::uint64_t most_deaths = 2;
    SECTION("another thread cancels before anybody waits") {
        g.cancel();
    }
    SECTION("another thread cancels while somebody waits") {
        canceller = std::thread([&] { g.cancel(); });
    }
    SECTION("a thread outside waits in put") {
        most_deaths =
            3; // it may come in while the graph is still cancelled, and be at work when that is seen
        canceller = std::thread([&] {
            std::thread putter([&] { CHECK(node.put(-1, 1h)); }); // which does not hang
            g.cancel();
            putter.join();
        });
    }
    g.wait_for_all();
    if (canceller.joinable()) {
        canceller.join();
        g.wait_for_all();
    }
    CHECK(results.size() <= 1); // what was put after the cancellation
    g.reset();
    CHECK(flags.get(hanging_body::hanging) == 2); // nothing was begun, or begun again
    CHECK(node.statistics().retries == 0);
    flags.set(hanging_body::let_go);
    check_new_stream(g, node, results);
    const forkflow::statistics after = node.statistics();
    CHECK((after.deaths >= 2 && after.deaths <= most_deaths));
    CHECK(after.retries == 0);
    CHECK(after.received == after.emitted);
}

TEST_CASE("With kill_on_cancel, the only thread of a graph may wait in put for a body that hangs") {
    const bounded_test bounds;
    const shared_flags flags(hanging_body::flags_count);
    forkflow_test::with_one_thread([&](flow::graph& g) {
        rejecting_node node(g, killing(), hanging_body{flags});
        const recorder<int> results(g, node);
        flow::function_node<int, int> putter(g, flow::unlimited, [&](int message) {
            CHECK(node.put(message, 1h));
            return message;
        });
        put_all(putter);
        std::thread canceller([&] {
            flags.wait_for(hanging_body::hanging, 2);
            g.cancel();
        });
        g.wait_for_all();
        canceller.join();
        g.wait_for_all();
        CHECK(results.size() == 0);
        g.reset();
        flags.set(hanging_body::let_go);
        REQUIRE(node.put(7, 1h));
        g.wait_for_all();
        CHECK(results.values() == std::vector<int>{7});
    });
}

TEST_CASE("With kill_on_cancel, an exception ends bodies that hang, too") {
    const bounded_test bounds;
    const shared_flags flags(hanging_body::flags_count);
    flow::graph g;
    int_node node(g, killing(), hanging_body{.flags = flags, .last_quick = 0});
    bool broken = true;
    std::vector<int> results;
    flow::function_node<int> sink(g, flow::serial, [&](int message) {
        if (broken) {
            flags.wait_for(hanging_body::hanging);
            throw std::runtime_error("the sink is broken");
        }
        results.push_back(message);
    });
    flow::make_edge(node, sink);
    put_all(node);
    CHECK_THROWS_WITH(g.wait_for_all(), "the sink is broken");
    broken = false;
    g.reset();
    flags.set(hanging_body::let_go);
    put_all(node);
    g.wait_for_all();
    CHECK(results == up_to(count));
}

TEST_CASE("With kill_on_cancel, each of many cancellations in full swing leaves a node that works") {
    const bounded_test bounds;
    const shared_flags flags(1);
    flow::graph g;
    int_node node(g, killing(), [&](int message) {
        if (message < 0 && message % 13 == 0) {
            flags.wait_for(0); // never
        }
        return message;
    });
    const recorder<int> results(g, node);
    for (int round = 0; round < 20; ++round) {
        for (int i = 1; i <= count; ++i) {
            node.try_put(-(i + round));
        }
        std::thread canceller([&] {
            for (int i = 0; i < 100 * (round % 5); ++i) {
                std::this_thread::yield();
            }
            g.cancel();
        });
        g.wait_for_all();
        canceller.join();
        g.wait_for_all();
        g.reset(round % 10 == 9 ? flow::rf_reset_bodies : flow::rf_reset_protocol);
        check_new_stream(g, node, results);
    }
    const forkflow::statistics after = node.statistics();
    CHECK(after.received == after.emitted);
    CHECK(after.retries == 0);
}

} // namespace cancel_test
