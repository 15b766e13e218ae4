// SPDX-License-Identifier: MIT
// A node's life in its graph: waiting, cancelling, resetting, copying, deducing; and bad options.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <pthread.h>
#include <unistd.h>

namespace life_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;

template <class Input, class Output>
using node_of = forkflow::ordered_process_node<Input, Output>;

} // namespace

TEST_CASE("wait_for_all waits for what is in the workers") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: runs; 1: released
    tbb::flow::graph graph;
    node_of<number, number> node(graph, 1, [&](number message) {
        flags.set(0);
        flags.wait_for(1);
        return message;
    });
    const recorder<number> results(graph, node);
    node.try_put(1);
    flags.wait_for(0);
    std::atomic<bool> returned{false};
    std::thread waiter([&] {
        graph.wait_for_all();
        returned = true;
    });
    std::this_thread::yield();
    CHECK_FALSE(returned); // cannot fail wrongly: the body has not been released
    flags.set(1);
    waiter.join();
    CHECK(results.size() == 1);
}

TEST_CASE("A graph that another thread cancels is waited for no longer than the running bodies take") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: how many run; 1: released
    tbb::flow::graph graph;
    node_of<number, number> node(graph, pool_options{.workers = 2, .window = 4, .requests = 4},
                                 [&](number message) {
                                     flags.add(0);
                                     flags.wait_for(1);
                                     return message;
                                 });
    const recorder<number> results(graph, node);
    for (number message = 0; message < 50; ++message) {
        node.try_put(message);
    }
    flags.wait_for(0, 2);
    std::thread canceller([&] {
        graph.cancel();
        flags.set(1);
    });
    graph.wait_for_all();
    canceller.join();
    CHECK(graph.is_cancelled());
    CHECK(results.size() == 0);

    graph.reset();
    CHECK_FALSE(graph.is_cancelled());
    node.try_put(1000);
    graph.wait_for_all();
    CHECK(results.values() == std::vector<number>{1000});
}

TEST_CASE("A node works again after each of many cancellations in full swing") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    node_of<number, number> node(graph, 3, [](number message) { return message; });
    const recorder<number> results(graph, node);
    std::size_t seen = 0;
    for (number round = 0; round < 200; ++round) {
        for (number message = 0; message < 100; ++message) {
            node.try_put(message);
        }
        std::thread canceller([&] { graph.cancel(); });
        graph.wait_for_all();
        canceller.join();
        graph.wait_for_all();
        graph.reset();
        const std::size_t before = results.size();
        REQUIRE(before <= seen + 100);
        node.try_put(5000 + round);
        results.wait_for(before + 1);
        graph.wait_for_all();
        REQUIRE(results.size() == before + 1);
        REQUIRE(results.values().back() == 5000 + round);
        seen = before + 1;
    }
    const forkflow::statistics after = node.statistics();
    CHECK(after.received == after.emitted + after.in_flight);
}

TEST_CASE("reset drops what is inside, and rf_clear_edges the edges too") {
    const bounded_test bounds;
    const shared_flags flags(2);
    tbb::flow::graph graph;
    node_of<number, number> node(graph, 1, [&](number message) {
        flags.set(0);
        flags.wait_for(1);
        return message;
    });
    const recorder<number> results(graph, node);
    node.try_put(1);
    node.try_put(2);
    flags.wait_for(0);
    graph.cancel();
    flags.set(1);
    graph.wait_for_all();
    graph.reset(tbb::flow::rf_clear_edges);
    node.try_put(3);
    graph.wait_for_all();
    CHECK(results.size() == 0);
    tbb::flow::make_edge(node, const_cast<recorder<number>&>(results).node());
    node.try_put(4);
    graph.wait_for_all();
    CHECK(results.values() == std::vector<number>{4});
}

TEST_CASE("A copy has the initial body, workers of its own, and no edges") {
    const bounded_test bounds;
    struct counting_body {
        number calls = 100;
        std::pair<number, int> operator()(number /*message*/) { return {calls++, ::getpid()}; }
    };
    using counted = std::pair<number, int>;
    tbb::flow::graph graph;
    node_of<number, counted> original(graph, 1, counting_body{});
    const recorder<counted> from_original(graph, original);
    for (number message = 0; message < 5; ++message) {
        original.try_put(message);
    }
    graph.wait_for_all();
    node_of<number, counted> copy(original); // NOLINT(performance-unnecessary-copy-initialization)
    copy.try_put(0);
    graph.wait_for_all();
    const recorder<counted> from_copy(graph, copy);
    copy.try_put(0);
    original.try_put(0);
    graph.wait_for_all();
    REQUIRE(from_original.size() == 6);
    CHECK(from_original.values().back().first == 105);
    REQUIRE(from_copy.size() == 1);
    CHECK(from_copy.values().back().first == 101); // the second call of a fresh copy of the body
    CHECK(from_copy.values().back().second != from_original.values().back().second);
    CHECK(tbb::flow::copy_body<counting_body>(original).calls == 100);
    CHECK(copy.statistics().received == 2);
}

namespace {

number twice(number message) {
    return 2 * message;
}

struct account {
    std::uint64_t balance = 0;
    [[nodiscard]] std::uint64_t doubled() const { return 2 * balance; }
};

} // namespace

TEST_CASE("The types of a node are deduced from its body") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node from_lambda(graph, 1, [](const std::string& text) { return text.size(); });
    static_assert(std::is_same_v<decltype(from_lambda), node_of<std::string, std::size_t>>);
    forkflow::ordered_process_node from_function(graph, tbb::flow::serial, twice);
    static_assert(std::is_same_v<decltype(from_function), node_of<number, number>>);
    forkflow::ordered_process_node from_options(
        graph, pool_options{.workers = 1}, [](std::vector<int> all) { return static_cast<char>(all[0]); });
    static_assert(std::is_same_v<decltype(from_options), node_of<std::vector<int>, char>>);
    const recorder<std::size_t> lengths(graph, from_lambda);
    const recorder<number> doubles(graph, from_function);
    from_lambda.try_put("four");
    from_function.try_put(21);
    graph.wait_for_all();
    CHECK(lengths.values() == std::vector<std::size_t>{4});
    CHECK(doubles.values() == std::vector<number>{42});
}

TEST_CASE("Bodies are called through invoke: member functions and members too") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    node_of<account, std::uint64_t> by_function(graph, 1, &account::doubled);
    node_of<account, std::uint64_t> by_member(graph, 1, &account::balance);
    const recorder<std::uint64_t> doubled(graph, by_function);
    const recorder<std::uint64_t> balances(graph, by_member);
    by_function.try_put({.balance = 4});
    by_member.try_put({.balance = 5});
    graph.wait_for_all();
    CHECK(doubled.values() == std::vector<std::uint64_t>{8});
    CHECK(balances.values() == std::vector<std::uint64_t>{5});
}

TEST_CASE("Bad options are refused with field, value and range") {
    const bounded_test bounds;
    struct bad {
        pool_options options;
        std::vector<std::string> parts;
    };
    const bad all[] = {
        {{.workers = 1024}, {"workers", "1024", "1 to 1023"}},
        {{.workers = 1, .window = 1'048'577}, {"window", "1048577", "1 to 1048576"}},
        {{.workers = 1, .requests = 1'048'577}, {"requests", "1048577", "1 to 1048576"}},
        {{.workers = 1, .max_message_bytes = 0}, {"max_message_bytes", "0", "1 to 1073741824"}},
        {{.workers = 1, .max_message_bytes = (1U << 30U) + 1},
         {"max_message_bytes", "1073741825", "1 to 1073741824"}},
        {{.workers = 1, .deadline = -1ns}, {"deadline", "-1", "0 or more"}},
        {{.workers = 1, .attempts = 0}, {"attempts", "0", "1 to 31"}},
        {{.workers = 1, .attempts = 32}, {"attempts", "32", "1 to 31"}},
        {{.workers = 1, .keep_descriptors = {-5}}, {"keep_descriptors", "-5", "0 or more"}},
    };
    tbb::flow::graph graph;
    for (const bad& each : all) {
        try {
            const node_of<number, number> node(graph, each.options, twice);
            FAIL("no exception for " << each.parts[0]);
        } catch (const std::invalid_argument& refused) {
            const std::string text = refused.what();
            for (const std::string& part : each.parts) {
                INFO(text);
                CHECK(text.find(part) != std::string::npos);
            }
        }
    }
    graph.wait_for_all();
}

// In a process of its own, in which oneTBB has no thread yet when the node's first outcome comes.
TEST_CASE("child: whose thread runs the first task", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    std::string name(16, '\0');
    std::atomic<bool> blocked{false};
    std::atomic<bool> ran{false};
    tbb::flow::graph graph;
    node_of<number, number> node(graph, 1, twice);
    tbb::flow::function_node<number> sink(graph, 1, [&](number) {
        sigset_t mask;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        blocked = sigismember(&mask, SIGUSR1) == 1;
        ::pthread_getname_np(::pthread_self(), name.data(), name.size());
        ran = true;
        return tbb::flow::continue_msg();
    });
    tbb::flow::make_edge(node, sink);
    node.try_put(1);
    while (!ran) { // nobody waits in the graph, so that a thread of oneTBB must do the work
        std::this_thread::yield();
    }
    graph.wait_for_all();
    CHECK_FALSE(blocked);
    CHECK(name.find("ff-") == std::string::npos);
}

TEST_CASE("oneTBB's threads inherit neither blocked signals nor a name from the node's threads") {
    const bounded_test bounds;
    forkflow_test::child_test child("child: whose thread runs the first task");
    CHECK(child.wait() == 0);
}

} // namespace life_test
