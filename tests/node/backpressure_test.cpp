// SPDX-License-Identifier: MIT
// The bounds: how far workers may run ahead of a slow message, when the node refuses, and that nothing grows.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace backpressure_test {

using namespace std::chrono_literals;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using numbers = std::vector<std::uint32_t>;

numbers first_numbers(std::size_t count) {
    numbers all(count);
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

void raise_to(std::atomic<std::size_t>& peak, std::size_t value) {
    for (std::size_t seen = peak.load(); seen < value && !peak.compare_exchange_weak(seen, value);) {
    }
}

} // namespace

TEST_CASE("A slow message holds up only what is emitted, until the window is full and the node refuses") {
    const bounded_test bounds;
    constexpr std::uint32_t workers = 3;
    constexpr std::uint32_t window = 8;
    constexpr std::uint32_t requests = 6;
    enum : std::size_t { slow_released, blocked_workers, flags_count };
    const shared_flags flags(flags_count);
    const shared_flags started(64);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::uint32_t, std::uint32_t, tbb::flow::rejecting> node(
        graph,
        forkflow::pool_options{.workers = workers,
                               .window = window,
                               .requests = requests,
                               .testing = {.hook =
                                               [&](forkflow::nodes::step here, std::uint32_t /*seat*/) {
                                                   if (here == forkflow::nodes::step::awaiting_admission) {
                                                       flags.add(blocked_workers);
                                                   }
                                               }}},
        [&](std::uint32_t message) {
            started.set(message);
            if (message == 0) {
                flags.wait_for(slow_released);
            }
            return message;
        });
    const recorder<std::uint32_t> results(graph, node);

    std::uint32_t put = 0;
    REQUIRE(node.try_put(put++));
    started.wait_for(0);
    // The others go on: all that the window holds, and one more in each of the other workers.
    constexpr std::uint32_t ahead = window + workers - 1;
    for (; put < ahead; ++put) {
        REQUIRE(node.put(put, 60s));
        started.wait_for(put);
    }
    flags.wait_for(blocked_workers, workers - 1);
    CHECK(results.size() == 0);
    CHECK(node.statistics().running == workers);
    CHECK(node.statistics().finished == window - 1);

    while (node.try_put(put)) {
        ++put;
        REQUIRE(put <= requests + window);
    }
    CHECK(put == window - 1 + requests); // finished, and waiting or running
    CHECK(started.get(ahead) == 0);      // no worker is free for it
    CHECK_FALSE(node.try_put(put));
    const forkflow::statistics full = node.statistics();
    CHECK(full.in_flight == put);
    CHECK(full.waiting == requests - workers);
    CHECK(full.emitted == 0);

    flags.set(slow_released);
    graph.wait_for_all();
    CHECK(results.values() == first_numbers(put));
    CHECK(node.try_put(put));
    graph.wait_for_all();
    CHECK(results.values() == first_numbers(put + 1));
}

TEST_CASE(
    "An input_node stops producing while the node is full, for any number of workers, requests and slots") {
    struct shape {
        std::size_t workers;
        std::size_t requests;
        std::size_t window;
    };
    const shape shapes[] = {{1, 1, 1}, {4, 1, 1}, {4, 2, 8}, {2, 8, 1}, {3, 1, 16}, {3, 16, 3}, {2, 80, 80}};
    for (const shape& each : shapes) {
        CAPTURE(each.workers, each.requests, each.window);
        const bounded_test bounds;
        const auto total = static_cast<std::uint32_t>(forkflow_test::scaled_down(20'000));
        std::atomic<std::size_t> produced{0};
        std::atomic<std::size_t> emitted{0};
        std::atomic<std::size_t> most_outside{0}; // produced, and not arrived at the end
        std::atomic<std::size_t> most_in_flight{0};
        std::atomic<std::size_t> out_of_order{0};
        tbb::flow::graph graph;
        tbb::flow::input_node<std::uint32_t> source(graph, [&](tbb::flow_control& control) -> std::uint32_t {
            const std::size_t next = produced.load();
            if (next == total) {
                control.stop();
                return 0;
            }
            produced.store(next + 1);
            raise_to(most_outside, next + 1 - emitted.load());
            return static_cast<std::uint32_t>(next);
        });
        forkflow::ordered_process_node<std::uint32_t, std::uint32_t, tbb::flow::rejecting> node(
            graph,
            forkflow::pool_options{.workers = each.workers, .window = each.window, .requests = each.requests},
            [](std::uint32_t message) { return message; });
        tbb::flow::function_node<std::uint32_t, tbb::flow::continue_msg, tbb::flow::queueing_lightweight>
            sink(graph, tbb::flow::serial, [&](std::uint32_t message) noexcept {
                out_of_order += message == emitted.load() ? 0U : 1U;
                ++emitted;
                if (message % 16 == 0) {
                    raise_to(most_in_flight, node.statistics().in_flight);
                }
                return tbb::flow::continue_msg();
            });
        tbb::flow::make_edge(source, node);
        tbb::flow::make_edge(node, sink);
        source.activate();
        graph.wait_for_all();
        CHECK(emitted == total);
        CHECK(out_of_order == 0);
        CHECK(most_in_flight <= each.requests + each.window);
        // An input_node keeps the one message that was refused.
        CHECK(most_outside <= each.requests + each.window + each.workers + 1);
    }
}

TEST_CASE("put gets into a node once there is one place, though bodies last and no further place comes") {
    const bounded_test bounds;
    const shared_flags released(11);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::uint32_t, std::uint32_t, tbb::flow::rejecting> node(
        graph,
        forkflow::pool_options{.workers = 2, .window = 10, .requests = 10, .testing = {.looks = false}},
        [&](std::uint32_t message) {
            released.wait_for(message);
            return message;
        });
    const recorder<std::uint32_t> results(graph, node);
    for (std::uint32_t message = 0; message < 10; ++message) {
        REQUIRE(node.try_put(message));
    }
    REQUIRE_FALSE(node.try_put(10));
    constexpr auto limit = 20s; // nobody else looks for room
    const auto begin = std::chrono::steady_clock::now();
    std::atomic<bool> accepted{false};
    std::atomic<::pid_t> thread{0};
    std::thread putter([&] {
        thread = ::gettid();
        accepted = node.put(10, limit);
    });
    CHECK(forkflow_test::comes_true_within(10s,
                                           [&] { return thread != 0 && forkflow_test::is_asleep(thread); }));
    released.set(1);
    putter.join();
    CHECK(accepted);
    CHECK(std::chrono::steady_clock::now() - begin < limit);
    for (std::uint32_t message = 0; message < 11; ++message) {
        released.set(message);
    }
    graph.wait_for_all();
    CHECK(results.values() == first_numbers(11));
}

TEST_CASE("An input_node before a node whose first message does not end produces a bounded number") {
    const bounded_test bounds;
    constexpr std::size_t requests = 4;
    constexpr std::size_t window = 6;
    const shared_flags flags(1);
    std::atomic<std::uint32_t> produced{0};
    tbb::flow::graph graph;
    tbb::flow::input_node<std::uint32_t> source(graph, [&](tbb::flow_control& control) -> std::uint32_t {
        if (produced == 1000) {
            control.stop();
            return 0;
        }
        return produced++;
    });
    forkflow::ordered_process_node<std::uint32_t, std::uint32_t, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 2, .window = window, .requests = requests},
        [&](std::uint32_t message) {
            if (message == 0) {
                flags.wait_for(0);
            }
            return message;
        });
    const recorder<std::uint32_t> results(graph, node);
    tbb::flow::make_edge(source, node);
    source.activate();
    // Message 0 and the other worker's, which is not admitted, run; the rest of the window is finished.
    constexpr std::size_t full = (window - 1) + requests;
    CHECK(forkflow_test::comes_true_within(30s, [&] { return node.statistics().in_flight == full; }));
    // The source keeps one more, if the last one was refused before it was fetched.
    CHECK((produced == full || produced == full + 1));
    CHECK(results.size() == 0);
    flags.set(0);
    graph.wait_for_all();
    CHECK(results.values() == first_numbers(1000));
}

TEST_CASE("Resident memory does not grow with the number of messages that pass through") {
    const bounded_test bounds;
    const auto total = static_cast<std::uint32_t>(forkflow_test::scaled_down(1'000'000));
    const std::uint32_t warm = total / 10;
    long kib_when_warm = 0;
    long most_kib = 0;
    std::uint32_t produced = 0;
    std::uint32_t emitted = 0;
    bool intact = true;
    tbb::flow::graph graph;
    tbb::flow::input_node<std::string> source(graph, [&](tbb::flow_control& control) {
        if (produced == total) {
            control.stop();
            return std::string();
        }
        return std::string(produced++ % 300, 'x');
    });
    forkflow::ordered_process_node<std::string, std::string, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 2, .window = 64},
        [](const std::string& message) { return message + "y"; });
    tbb::flow::function_node<std::string, tbb::flow::continue_msg, tbb::flow::queueing_lightweight> sink(
        graph, tbb::flow::serial, [&](const std::string& message) noexcept {
            intact = intact && message.size() == emitted % 300 + 1 && message.back() == 'y';
            if (++emitted % 10'000 == 0) {
                const long kib = forkflow_test::resident_kib();
                (emitted <= warm ? kib_when_warm : most_kib) =
                    std::max(emitted <= warm ? kib_when_warm : most_kib, kib);
            }
            return tbb::flow::continue_msg();
        });
    tbb::flow::make_edge(source, node);
    tbb::flow::make_edge(node, sink);
    source.activate();
    graph.wait_for_all();
    CHECK(emitted == total);
    CHECK(intact);
    REQUIRE(kib_when_warm > 0);
    if (!forkflow_test::sanitized) { // which keeps freed memory for a while
        // A leak of eight bytes a message would be 7 MiB.
        CHECK(most_kib - kib_when_warm < 4096);
    }
}

TEST_CASE("put waits for room; if there is none in time, the message is not taken and no sequence is used") {
    const bounded_test bounds;
    constexpr std::uint32_t first_sequence = std::uint32_t{0} - 4;
    const shared_flags released(1);
    using outcome = std::variant<std::uint32_t, forkflow::failure>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::uint32_t, outcome, tbb::flow::rejecting> node(
        graph,
        forkflow::pool_options{
            .workers = 2, .window = 4, .requests = 4, .testing = {.first_sequence = first_sequence}},
        [&](std::uint32_t message) -> std::uint32_t {
            released.wait_for(0);
            if (message == 99) {
                throw std::runtime_error("the last one");
            }
            return message;
        });
    const recorder<outcome> results(graph, node);
    std::uint32_t put = 0;
    while (node.try_put(put)) {
        ++put;
    }
    REQUIRE(put == 4);
    for (const auto timeout : {0ms, 1ms, 50ms}) {
        CHECK_FALSE(node.put(77, timeout));
    }
    CHECK(node.statistics().received == put);

    std::thread late([&] { released.set(0); });
    CHECK(node.put(99, 60s));
    late.join();
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == put + 1);
    for (std::uint32_t i = 0; i < put; ++i) {
        CHECK(std::get<std::uint32_t>(all[i]) == i);
    }
    CHECK(std::get<forkflow::failure>(all.back()).sequence == first_sequence + put);
    CHECK(node.statistics().received == put + 1);
}

TEST_CASE("Many threads that wait in put for the only place all get it, one after another") {
    const bounded_test bounds;
    constexpr std::uint32_t threads_count = 8;
    const auto each = static_cast<std::uint32_t>(forkflow_test::scaled_down(1000));
    std::atomic<std::uint32_t> refused{0};
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::uint32_t, std::uint32_t, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 1, .window = 1, .requests = 1},
        [](std::uint32_t message) { return message; });
    const recorder<std::uint32_t> results(graph, node);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < threads_count; ++i) {
        threads.emplace_back([&] {
            for (std::uint32_t message = 0; message < each; ++message) {
                refused += node.put(message, 60s) ? 0U : 1U;
            }
        });
    }
    for (std::thread& one : threads) {
        one.join();
    }
    graph.wait_for_all();
    CHECK(refused == 0);
    const numbers all = results.values();
    CHECK(all.size() == threads_count * each);
    CHECK(std::count(all.begin(), all.end(), each - 1) == threads_count);
}

} // namespace backpressure_test
