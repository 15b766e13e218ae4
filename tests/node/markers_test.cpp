// SPDX-License-Identifier: MIT
// Markers: alternatives that the body does not take. They keep their place, and never leave this process.
#include "support/brittle_marker.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <cstdint>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace markers_test {

using forkflow_test::bounded_test;
using forkflow_test::brittle_marker;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

/// No codec could be made for it: it points to an object of this process. Counts the copies that live.
class unique_address {
public:
    explicit unique_address(int& home)
        : home_(&home) {
        ++*home_;
    }
    unique_address(const unique_address& other)
        : home_(other.home_) {
        ++*home_;
    }
    unique_address& operator=(const unique_address& other) {
        ++*other.home_;
        --*home_;
        home_ = other.home_;
        return *this;
    }
    ~unique_address() { --*home_; }
    [[nodiscard]] const int* home() const noexcept { return home_; }

private:
    int* home_;
};

/// Has a codec, which must never be called.
struct untouchable {
    int value = 0;
};

} // namespace

} // namespace markers_test

template <>
struct forkflow::codec<markers_test::untouchable> {
    static void encode(const markers_test::untouchable& /*value*/, writer& /*to*/) {
        throw std::logic_error("a marker was encoded");
    }
    static markers_test::untouchable decode(reader& /*from*/) {
        throw std::logic_error("a marker was decoded");
    }
};

namespace markers_test {

TEST_CASE("Alternatives that the body does not take pass through as they are") {
    const bounded_test bounds;
    static_assert(!forkflow::encodable<unique_address>);
    using pointer = const std::string*;
    using promise = std::shared_ptr<std::promise<int>>;
    using message = std::variant<std::uint32_t, pointer, promise, unique_address, untouchable>;
    const std::string home = "at home";
    int copies = 0;
    {
        tbb::flow::graph graph;
        forkflow::ordered_process_node<message, message> node(
            graph, 2, [](std::uint32_t number) { return number + 1; });
        const recorder<message> results(graph, node);
        const auto promised = std::make_shared<std::promise<int>>();
        std::future<int> kept = promised->get_future();
        node.try_put(std::uint32_t{1});
        node.try_put(&home);
        node.try_put(promised);
        node.try_put(unique_address(copies));
        node.try_put(untouchable{5});
        node.try_put(std::uint32_t{2});
        graph.wait_for_all();
        const std::vector<message> all = results.values();
        REQUIRE(all.size() == 6);
        CHECK(std::get<std::uint32_t>(all[0]) == 2);
        CHECK(std::get<pointer>(all[1]) == &home);
        CHECK(std::get<promise>(all[2]) == promised);
        std::get<promise>(all[2])->set_value(7);
        CHECK(kept.get() == 7);
        CHECK(std::get<unique_address>(all[3]).home() == &copies);
        CHECK(std::get<untouchable>(all[4]).value == 5);
        CHECK(std::get<std::uint32_t>(all[5]) == 3);
        CHECK(copies == 2); // the recorder's, and the one in `all`: the node has kept none
        CHECK(promised.use_count() == 3);
        CHECK(node.statistics().markers == 4);
        CHECK(node.statistics().results == 2);
    }
    CHECK(copies == 0);
}

TEST_CASE("Markers keep their place among slow messages") {
    const bounded_test bounds;
    struct note {
        std::uint32_t number;
    };
    using message = std::variant<std::uint32_t, note>;
    constexpr std::uint32_t pairs = 8;
    const shared_flags released(pairs);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message> node(graph, 3, [&](std::uint32_t number) {
        released.wait_for(number);
        return number;
    });
    const recorder<message> results(graph, node);
    node.try_put(note{100});
    results.wait_for(1); // nothing is in front of it
    for (std::uint32_t number = 0; number < pairs; ++number) {
        node.try_put(number);
        node.try_put(note{number});
    }
    CHECK(results.size() == 1);
    for (std::uint32_t number = 0; number < pairs; ++number) {
        released.set(number);
        results.wait_for(1 + 2 * (number + 1)); // the message and the marker behind it
        CHECK(results.size() == 1 + 2 * (number + 1));
    }
    graph.wait_for_all();
    const std::vector<message> all = results.values();
    REQUIRE(all.size() == 1 + 2 * pairs);
    for (std::uint32_t number = 0; number < pairs; ++number) {
        CHECK(std::get<std::uint32_t>(all[1 + 2 * number]) == number);
        CHECK(std::get<note>(all[2 + 2 * number]).number == number);
    }
}

TEST_CASE("Markers alone pass through, in order, while all workers are busy with nothing") {
    const bounded_test bounds;
    struct note {
        std::uint32_t number;
    };
    using message = std::variant<std::uint32_t, note>;
    constexpr std::uint32_t count = 10'000;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message> node(
        graph, forkflow::pool_options{.workers = 1, .window = 1, .requests = 1},
        [](std::uint32_t number) { return number; });
    const recorder<message> results(graph, node);
    for (std::uint32_t number = 0; number < count; ++number) {
        node.try_put(note{number});
    }
    graph.wait_for_all();
    const std::vector<message> all = results.values();
    REQUIRE(all.size() == count);
    std::uint32_t wrong = 0;
    for (std::uint32_t number = 0; number < count; ++number) {
        wrong += std::get<note>(all[number]).number == number ? 0U : 1U;
    }
    CHECK(wrong == 0);
    CHECK(node.statistics().markers == count);
}

TEST_CASE("A marker whose move throws is a failure in its place") {
    const bounded_test bounds;
    using message = std::variant<std::uint32_t, brittle_marker>;
    using outcome = std::variant<std::uint32_t, brittle_marker, forkflow::failure>;
    const shared_flags released(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, outcome> node(graph, 1, [&](std::uint32_t number) {
        released.wait_for(0);
        return number;
    });
    const recorder<outcome> results(graph, node);
    node.try_put(std::uint32_t{0});
    node.try_put(brittle_marker());
    node.try_put(std::uint32_t{2});
    brittle_marker::next_move_throws = true;
    released.set(0);
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 3);
    CHECK(std::get<std::uint32_t>(all[0]) == 0);
    CHECK(forkflow_test::is_of_brittle_marker(std::get<forkflow::failure>(all[1]), 1));
    CHECK(std::get<std::uint32_t>(all[2]) == 2);
    CHECK(node.statistics().failures == 1);
    CHECK(node.statistics().markers == 0);
}

TEST_CASE("A marker is never counted against the requests, only against what may be in flight") {
    const bounded_test bounds;
    struct note {};
    using message = std::variant<std::uint32_t, note>;
    constexpr std::size_t requests = 2;
    constexpr std::size_t window = 5;
    const shared_flags released(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 1, .window = window, .requests = requests},
        [&](std::uint32_t number) {
            released.wait_for(0);
            return number;
        });
    const recorder<message> results(graph, node);
    while (node.try_put(std::uint32_t{0})) {
    }
    std::size_t in_flight = node.statistics().in_flight;
    CHECK(in_flight == requests);
    for (; node.try_put(note{}); ++in_flight) {
        REQUIRE(in_flight < requests + window);
    }
    CHECK(in_flight == requests + window);
    released.set(0);
    graph.wait_for_all();
    CHECK(results.size() == requests + window);
}

TEST_CASE("Several types of requests and several types of markers share one stream") {
    const bounded_test bounds;
    struct begin {
        std::uint32_t batch;
    };
    struct end {
        std::shared_ptr<std::uint32_t> batch;
    };
    using message = std::variant<begin, std::uint32_t, end, std::string, double>;
    using outcome = std::variant<std::string, end, double, begin, forkflow::failure>;
    struct body {
        std::string operator()(std::uint32_t number) const { return std::to_string(number); }
        std::string operator()(const std::string& text) const {
            if (text.empty()) {
                throw std::invalid_argument("empty");
            }
            return text + text;
        }
        double operator()(double value) const { return value / 2; }
    };
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, outcome> node(graph, 3, body{});
    const recorder<outcome> results(graph, node);
    constexpr std::uint32_t batches = 200;
    for (std::uint32_t batch = 0; batch < batches; ++batch) {
        node.try_put(begin{batch});
        node.try_put(batch);
        node.try_put(std::string("ab"));
        node.try_put(std::string());
        node.try_put(static_cast<double>(batch));
        node.try_put(end{std::make_shared<std::uint32_t>(batch)});
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 6 * batches);
    for (std::uint32_t batch = 0; batch < batches; ++batch) {
        const outcome* const part = &all[6 * std::size_t{batch}];
        REQUIRE(std::get<begin>(part[0]).batch == batch);
        REQUIRE(std::get<std::string>(part[1]) == std::to_string(batch));
        REQUIRE(std::get<std::string>(part[2]) == "abab");
        REQUIRE(std::get<forkflow::failure>(part[3]).what == "empty");
        REQUIRE(std::get<double>(part[4]) == static_cast<double>(batch) / 2);
        REQUIRE(*std::get<end>(part[5]).batch == batch);
        REQUIRE(std::get<end>(part[5]).batch.use_count() == 2); // ours and the recorder's
    }
}

TEST_CASE("A marker that has left is gone, also while those behind it have to wait for a successor") {
    const bounded_test bounds;
    using message = std::variant<std::uint32_t, unique_address>;
    int living = 0;
    const shared_flags flags(1);
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, message> node(
        graph, forkflow::pool_options{.workers = 1, .window = 40}, [&](std::uint32_t number) {
            flags.wait_for(0);
            return number;
        });
    tbb::flow::limiter_node<message> two(graph, 2);
    tbb::flow::function_node<message> end(graph, tbb::flow::unlimited, [](const message& /*one*/) {});
    tbb::flow::make_edge(node, two);
    tbb::flow::make_edge(two, end);
    node.try_put(message(std::uint32_t{1}));
    for (int i = 0; i < 3; ++i) { // they wait behind the number, so that they leave the window together
        node.try_put(message(unique_address(living)));
    }
    flags.set(0);
    graph.wait_for_all();
    CHECK(living == 2); // one is offered, one is behind it
}

} // namespace markers_test
