// SPDX-License-Identifier: MIT
// A node whose messages are buffers.
#include "support/catch.hpp"
#include "support/engine_shared.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <variant>

namespace buffer_node_test {

using forkflow::buffer;
using forkflow::failure;
using forkflow_test::bounded_test;
using forkflow_test::gate;
using forkflow_test::opened_at_end;
using forkflow_test::recorder;
using forkflow_test::shared_value;

namespace {

using outcome = std::variant<std::size_t, failure>;

std::size_t count_ones(std::span<const std::byte> bytes) {
    std::size_t ones = 0;
    for (const std::byte each : bytes) {
        ones += each == std::byte{1} ? 1 : 0;
    }
    return ones;
}

} // namespace

TEST_CASE("A queueing node keeps the buffers of messages that have no room yet, and of no others") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<buffer, outcome> node(
        graph, forkflow::pool_options{.workers = 1, .window = 2, .buffer_bytes = 100'000}, count_ones);
    const recorder<outcome> seen(graph, node);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 10; ++i) {
            buffer message = node.make_buffer(8'000); // two pages, of 24 that there are
            std::memset(message.bytes().data(), i == 5 ? 0 : 1, message.size());
            CHECK(node.try_put(message));
        }
        graph.wait_for_all();
        CHECK(node.try_make_buffer(98'000)); // none is kept
    }
    const auto values = seen.values();
    REQUIRE(values.size() == 30);
    for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(std::get<std::size_t>(values[i]) == (i % 10 == 5 ? 0 : 8'000));
    }
}

TEST_CASE("After a reset with rf_reset_bodies buffers from before it are of another pool") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<buffer, outcome> node(graph, 1, count_ones);
    const recorder<outcome> seen(graph, node);
    buffer old = node.make_buffer(1'000);
    std::memset(old.bytes().data(), 1, old.size());
    node.try_put(old);
    graph.wait_for_all();
    graph.reset(tbb::flow::rf_reset_bodies);
    node.try_put(old);
    buffer fresh = node.make_buffer(1'000);
    std::memcpy(fresh.bytes().data(), old.bytes().data(), old.size());
    node.try_put(fresh);
    graph.wait_for_all();
    const auto values = seen.values();
    REQUIRE(values.size() == 3);
    CHECK(std::get<std::size_t>(values[0]) == 1'000);
    CHECK(std::get<failure>(values[1]).kind == forkflow::failure_kind::not_encodable);
    CHECK(std::get<failure>(values[1]).what.find("another pool") != std::string::npos);
    CHECK(std::get<std::size_t>(values[2]) == 1'000);
}

TEST_CASE("Who is given an outcome finds the memory of its message free") {
    const bounded_test bounds;
    constexpr std::size_t rounds = 3;
    // Each is opened when the one who put the message has let go of it.
    const shared_value<std::array<gate, rounds>> let_go;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<buffer, outcome> node(
        graph, forkflow::pool_options{.workers = 1, .buffer_bytes = 4'096},
        [&](std::span<const std::byte> bytes) {
            let_go->at(std::to_integer<std::size_t>(bytes.front())).pass();
            return count_ones(bytes);
        });
    const opened_at_end first(let_go->at(0));
    const opened_at_end second(let_go->at(1));
    const opened_at_end third(let_go->at(2));
    std::size_t with_room = 0;
    forkflow_test::own_receiver<outcome> sink(graph, [&](const outcome& /*one*/) {
        with_room += node.try_make_buffer(4'096) ? 1U : 0U;
        return true;
    });
    tbb::flow::make_edge<outcome>(node, sink);
    for (std::size_t round = 0; round < rounds; ++round) {
        {
            buffer message = node.make_buffer(4'096); // the only one that there is
            message.bytes().front() = static_cast<std::byte>(round);
            CHECK(node.try_put(message));
            CHECK_FALSE(node.try_make_buffer(4'096));
        }
        let_go->at(round).open();
        graph.wait_for_all();
    }
    CHECK(with_room == rounds);
}

} // namespace buffer_node_test
