// SPDX-License-Identifier: MIT
// The faults of the Python queue from which forkflow descends, none of which must be possible here.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace ancestor_faults_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;
using outcome = std::variant<number, failure>;

number itself(number message) {
    return message;
}

/// Sends messages one at a time, each when the one before has come out. Nobody looks now and then, so a
/// wakeup that is lost anywhere would stop this for ever.
void ping_pong(forkflow::pool_options options) {
    options.testing.looks = false;
    const auto rounds = static_cast<number>(forkflow_test::scaled_down(5'000));
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number, tbb::flow::rejecting> node(graph, options, itself);
    const recorder<number> results(graph, node);
    for (number round = 0; round < rounds; ++round) {
        REQUIRE(node.try_put(round));
        results.wait_for(round + 1);
    }
    graph.wait_for_all();
    CHECK(results.size() == rounds);
}

} // namespace

TEST_CASE("No wakeup is lost when each message waits for the one before") {
    const bounded_test bounds;
    ping_pong({.workers = 1, .window = 1, .requests = 1});
    ping_pong({.workers = 4});
}

TEST_CASE("No wakeup is lost in the first message of a new node") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    for (int i = 0; i < 100; ++i) {
        forkflow::ordered_process_node<number, number> node(
            graph, forkflow::pool_options{.workers = 1, .testing = {.looks = false}}, itself);
        const recorder<number> results(graph, node);
        for (int pause = 0; pause < i; ++pause) { // the node's threads come to rest, or not yet
            std::this_thread::yield();
        }
        REQUIRE(node.try_put(1));
        results.wait_for(1);
        graph.wait_for_all();
    }
}

TEST_CASE("A worker's death does not lose the message's place, and nobody waits for ever") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(graph, 2, [](number message) {
        if (message == 1) {
            std::abort();
        }
        return message;
    });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < 3; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 3);
    CHECK(std::get<number>(all[0]) == 0);
    CHECK(std::get<failure>(all[1]).kind == failure_kind::crashed);
    CHECK(std::get<number>(all[2]) == 2);
}

TEST_CASE("A body that ends its process by exit does not lose the message's place") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(graph, 2, [](number message) {
        if (message == 1) {
            std::exit(0);
        }
        return message;
    });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < 3; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 3);
    CHECK(std::get<number>(all[0]) == 0);
    CHECK(std::get<failure>(all[1]).kind == failure_kind::crashed);
    CHECK(std::get<failure>(all[1]).status == 0);
    CHECK(std::get<number>(all[2]) == 2);
}

namespace {

/// Cannot be encoded if it says so.
struct stubborn {
    bool refuses = false;
};

/// Nobody but the worker can make anything of this exception.
class private_exception {
public:
    explicit private_exception(std::unique_ptr<int> secret)
        : secret_(std::move(secret)) {}

private:
    std::unique_ptr<int> secret_;
};

/// An exception that has nothing to say.
class speechless_exception : public std::exception {
public:
    [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

} // namespace

} // namespace ancestor_faults_test

template <>
struct forkflow::codec<ancestor_faults_test::stubborn> {
    static void encode(const ancestor_faults_test::stubborn& value, writer& to) {
        if (value.refuses) {
            throw std::runtime_error("cannot be encoded");
        }
        to.write_value(value.refuses ? '1' : '0');
    }
    static ancestor_faults_test::stubborn decode(reader& from) { return {from.read_value<char>() == '1'}; }
};

namespace ancestor_faults_test {

TEST_CASE("What cannot be encoded is not dropped, and nobody waits for it for ever") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<stubborn, outcome> node(graph, 2,
                                                           [](const stubborn&) { return number{7}; });
    const recorder<outcome> results(graph, node);
    node.try_put({false});
    node.try_put({true});
    node.try_put({false});
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 3);
    CHECK(std::get<number>(all[0]) == 7);
    CHECK(std::get<failure>(all[1]).kind == failure_kind::not_encodable);
    CHECK(std::get<failure>(all[1]).what == "cannot be encoded");
    CHECK(std::get<number>(all[2]) == 7);
}

TEST_CASE("An exception that no other process could rebuild does not harm the consumer") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(graph, 2, [](number message) -> number {
        switch (message) {
        case 0:
            throw private_exception(std::make_unique<int>(5));
        case 1:
            throw static_cast<const char*>("only a pointer");
        case 2:
            throw std::runtime_error(std::string(1'000'000, 'x')); // longer than a description may be
        default:
            return message;
        }
    });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < 4; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 4);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(std::get<failure>(all[i]).kind == failure_kind::threw);
        CHECK_FALSE(std::get<failure>(all[i]).exception_type.empty());
    }
    CHECK(std::get<failure>(all[0]).exception_type.find("private_exception") != std::string::npos);
    CHECK(std::get<failure>(all[2]).what.starts_with("xxxxxxxx"));
    CHECK(std::get<number>(all[3]) == 3);
}

TEST_CASE("An exception whose text is a null pointer is a failure like others") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(
        graph, 1, [](number /*message*/) -> number { throw speechless_exception(); });
    const recorder<outcome> results(graph, node);
    node.try_put(1);
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 1);
    CHECK(std::get<failure>(all[0]).kind == failure_kind::threw);
    CHECK(std::get<failure>(all[0]).exception_type.find("speechless_exception") != std::string::npos);
}

TEST_CASE("A node whose output nobody takes can be destroyed at once") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    {
        forkflow::ordered_process_node<number, number> node(
            graph, forkflow::pool_options{.workers = 2, .window = 2, .requests = 2}, itself);
        // A successor that refuses once it has one message, which nobody takes from it.
        tbb::flow::overwrite_node<number> full(graph);
        tbb::flow::limiter_node<number> closed(graph, 1);
        tbb::flow::make_edge(node, closed);
        tbb::flow::make_edge(closed, full);
        for (number message = 0; message < 50; ++message) {
            node.try_put(message);
        }
        number first = 99;
        while (!full.try_get(first)) {
            std::this_thread::yield();
        }
        CHECK(first == 0);
        CHECK(node.statistics().emitted <= 2);
        tbb::flow::remove_edge(node, closed);
        graph.cancel();
    }
    graph.wait_for_all();
}

TEST_CASE("Markers make no trip through a worker: they pass while all workers stand still") {
    const bounded_test bounds;
    struct note {
        int value;
    };
    using message = std::variant<number, note>;
    const shared_flags stopped(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message> node(
        graph,
        forkflow::pool_options{.workers = 2,
                               .worker_init =
                                   [&] {
                                       stopped.wait_for(0); // no worker ever comes to take a message
                                   }},
        [](number each) { return each; });
    const recorder<message> results(graph, node);
    for (int value = 0; value < 10; ++value) {
        node.try_put(note{value});
    }
    results.wait_for(10);
    graph.wait_for_all();
    CHECK(std::get<note>(results.values().back()).value == 9);
    stopped.set(0);
}

TEST_CASE("Messages may be put by many threads while outcomes are taken and statistics are read") {
    const bounded_test bounds;
    constexpr number producers = 6;
    const auto each = static_cast<number>(forkflow_test::scaled_down(5'000));
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number> node(graph, 2, itself);
    const recorder<number> results(graph, node);
    std::atomic<bool> done{false};
    std::atomic<std::size_t> inconsistent{0};
    std::thread reader([&] {
        while (!done) {
            const forkflow::statistics now = node.statistics();
            inconsistent += now.received == now.emitted + now.in_flight ? 0U : 1U;
        }
    });
    std::vector<std::thread> threads;
    for (number producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (number i = 0; i < each; ++i) {
                node.try_put(producer * each + i);
            }
        });
    }
    for (std::thread& one : threads) {
        one.join();
    }
    graph.wait_for_all();
    done = true;
    reader.join();
    CHECK(inconsistent == 0);
    std::vector<number> next(producers, 0);
    for (const number value : results.values()) {
        REQUIRE(next.at(value / each)++ == value % each);
    }
    CHECK(next == std::vector<number>(producers, each));
}

TEST_CASE("A message may be a duration or have a timeout of its own") {
    const bounded_test bounds;
    struct job {
        std::chrono::milliseconds timeout;
    };
    tbb::flow::graph graph;
    forkflow::ordered_process_node<job, std::chrono::milliseconds> jobs(
        graph, 1, [](const job& one) { return one.timeout; });
    forkflow::ordered_process_node<std::chrono::milliseconds, std::chrono::milliseconds> durations(
        graph, 1, [](std::chrono::milliseconds one) { return 2 * one; });
    const recorder<std::chrono::milliseconds> from_jobs(graph, jobs);
    const recorder<std::chrono::milliseconds> from_durations(graph, durations);
    CHECK(jobs.put({.timeout = 3h}, 60s));
    CHECK(durations.put(5h, 60s));
    graph.wait_for_all();
    CHECK(from_jobs.values() == std::vector<std::chrono::milliseconds>{3h});
    CHECK(from_durations.values() == std::vector<std::chrono::milliseconds>{10h});
}

TEST_CASE("Callables pass through as markers without being called") {
    const bounded_test bounds;
    using callback = std::function<int()>;
    using function = int (*)();
    using message = std::variant<number, callback, function>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message> node(graph, 1, [](number each) { return each + 1; });
    const recorder<message> results(graph, node);
    int calls = 0;
    node.try_put(number{1});
    node.try_put(callback([&] { return ++calls; }));
    node.try_put(function([] { return 17; }));
    graph.wait_for_all();
    CHECK(calls == 0);
    const std::vector<message> all = results.values();
    REQUIRE(all.size() == 3);
    CHECK(std::get<callback>(all[1])() == 1);
    CHECK(calls == 1);
    CHECK(std::get<function>(all[2])() == 17);
}

TEST_CASE("A message that is refused uses up no number") {
    const bounded_test bounds;
    const shared_flags released(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 1, .window = 1, .requests = 1},
        [&](number message) -> number {
            released.wait_for(0);
            throw std::runtime_error(std::to_string(message));
        });
    const recorder<outcome> results(graph, node);
    REQUIRE(node.try_put(0));
    for (number refused = 0; refused < 100; ++refused) {
        REQUIRE_FALSE(node.try_put(refused));
    }
    released.set(0);
    REQUIRE(node.put(1, 60s));
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 2);
    CHECK(std::get<failure>(all[0]).sequence == 0);
    CHECK(std::get<failure>(all[1]).sequence == 1);
}

TEST_CASE("The sizes that the statistics report are true while messages wait") {
    const bounded_test bounds;
    const shared_flags flags(2); // 0: how many run; 1: released
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number> node(
        graph, forkflow::pool_options{.workers = 2, .window = 8, .requests = 5}, [&](number message) {
            flags.add(0);
            flags.wait_for(1);
            return message;
        });
    const recorder<number> results(graph, node);
    for (number message = 0; message < 9; ++message) {
        CHECK(node.try_put(message));
    }
    flags.wait_for(0, 2);
    const forkflow::statistics now = node.statistics();
    CHECK(now.received == 5);
    CHECK(now.in_flight == 5);
    CHECK(now.running == 2);
    CHECK(now.waiting == 3);
    CHECK(now.finished == 0);
    CHECK(now.queued == 4);
    CHECK(now.workers == 2);
    CHECK(now.window == 8);
    CHECK(now.requests == 5);
    flags.set(1);
    graph.wait_for_all();
    CHECK(node.statistics().queued == 0);
    CHECK(node.statistics().in_flight == 0);
    CHECK(results.size() == 9);
}

TEST_CASE("The stream has an end: wait_for_all returns after the last outcome, and no earlier") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number> node(graph, 2, itself);
    const recorder<number> results(graph, node);
    for (std::size_t stream = 1; stream <= 50; ++stream) {
        for (number message = 0; message < 20; ++message) {
            CHECK(node.try_put(message));
        }
        graph.wait_for_all();
        CHECK(results.size() == 20 * stream);
        CHECK(node.statistics().in_flight == 0);
    }
}

TEST_CASE("A node is not taken for alive because one process lives: workers that cannot begin end it") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(
        graph, {.workers = 3, .worker_init = [] { std::_Exit(7); }}, itself); // the fork server lives
    const recorder<outcome> results(graph, node);
    CHECK(node.try_put(1));
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 1);
    CHECK(std::get<failure>(all[0]).kind == failure_kind::pool_failed);
}

} // namespace ancestor_faults_test
