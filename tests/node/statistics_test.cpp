// SPDX-License-Identifier: MIT
// The statistics: what a snapshot says at any moment.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>

namespace statistics_test {

using forkflow::failure;
using forkflow::pool_options;
using forkflow_test::bounded_test;

namespace {

using number = std::uint32_t;

/// How many snapshots of a busy node were wrong, and how.
struct wrong_snapshots {
    std::size_t sums = 0;         ///< parts and totals differ
    std::size_t went_back = 0;    ///< less than in an earlier snapshot
    std::size_t late = 0;         ///< fewer emitted than had arrived before
    std::size_t above_bounds = 0; ///< more in flight than is allowed
    std::size_t invented = 0;     ///< more received and queued than were ever put
    std::size_t vanished = 0;     ///< fewer received and queued than had been accepted before
    forkflow::statistics at_the_end{};
};

/// Puts `total` messages, a tenth of them markers, a hundredth that throw, while another thread looks.
wrong_snapshots observe(number total) {
    using message = std::variant<number, std::string>; // strings are markers
    using result = std::variant<number, std::string, failure>;
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> accepted{0};
    std::atomic<std::uint64_t> arrived{0};
    std::atomic<bool> done{false};
    tbb::flow::graph graph;
    forkflow::ordered_process_node<message, result> node(graph, pool_options{.workers = 2, .window = 16},
                                                         [](number each) {
                                                             if (each % 100 == 7) {
                                                                 throw std::runtime_error("seven");
                                                             }
                                                             return each;
                                                         });
    tbb::flow::function_node<result, tbb::flow::continue_msg, tbb::flow::queueing_lightweight> sink(
        graph, tbb::flow::serial, [&](const result&) noexcept {
            ++arrived;
            return tbb::flow::continue_msg();
        });
    tbb::flow::make_edge(node, sink);
    wrong_snapshots wrong;
    std::thread reader([&] {
        forkflow::statistics last;
        while (!done) {
            const std::uint64_t accepted_before = accepted;
            const std::uint64_t arrived_before = arrived;
            const forkflow::statistics now = node.statistics();
            const std::uint64_t begun_after = begun;
            const bool sums = now.received == now.emitted + now.in_flight &&
                              now.emitted == now.results + now.failures + now.markers + now.dropped &&
                              now.in_flight == now.waiting + now.running + now.finished;
            wrong.sums += sums ? 0U : 1U;
            wrong.went_back += now.received >= last.received && now.emitted >= last.emitted ? 0U : 1U;
            wrong.late += now.emitted >= arrived_before ? 0U : 1U;
            wrong.above_bounds += now.in_flight <= now.window + now.requests ? 0U : 1U;
            wrong.invented += now.received + now.queued <= begun_after ? 0U : 1U;
            wrong.vanished += now.received + now.queued >= accepted_before ? 0U : 1U;
            last = now;
            std::this_thread::yield();
        }
    });
    for (number i = 0; i < total; ++i) {
        ++begun;
        node.try_put(i % 10 == 0 ? message(std::string("marker")) : message(i));
        ++accepted;
        while (accepted - arrived > 2000) {
            std::this_thread::yield();
        }
    }
    graph.wait_for_all();
    done = true;
    reader.join();
    wrong.at_the_end = node.statistics();
    return wrong;
}

} // namespace

TEST_CASE("The statistics are consistent at any time") {
    const bounded_test bounds;
    const auto total = static_cast<number>(forkflow_test::scaled_down(100'000));
    const wrong_snapshots wrong = observe(total);
    CHECK(wrong.sums == 0);
    CHECK(wrong.went_back == 0);
    CHECK(wrong.late == 0);
    CHECK(wrong.above_bounds == 0);
    CHECK(wrong.at_the_end.received == total);
    CHECK(wrong.at_the_end.markers == total / 10);
    CHECK(wrong.at_the_end.failures == total / 100);
    CHECK(wrong.at_the_end.dropped == 0);
}

TEST_CASE("In every snapshot each accepted message is either received or queued, and counted once") {
    const bounded_test bounds;
    const wrong_snapshots wrong = observe(static_cast<number>(forkflow_test::scaled_down(100'000)));
    CHECK(wrong.invented == 0);
    CHECK(wrong.vanished == 0);
}

} // namespace statistics_test
