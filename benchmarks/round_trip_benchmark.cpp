// SPDX-License-Identifier: MIT
// How long one message takes into an idle node and out again, beside the least that a round trip between two
// processes can take: asleep on futexes, or looking again and again.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "peers/echo_process.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <thread>
#include <vector>

namespace forkflow_benchmark {
namespace {

namespace flow = tbb::flow;
using std::chrono::microseconds;

/// Before each message: none, or long enough that everybody sleeps.
struct pace {
    waiting how;
    std::uint64_t trips = 0;
    microseconds pause{0};
    std::chrono::nanoseconds spin{0};
};
pace parked_pace() {
    return {.how = waiting::parked,
            .trips = scaled(500),
            .pause = microseconds(1000),
            .spin = forkflow::pool_options().spin};
}
pace spinning_pace() {
    return {.how = waiting::polling,
            .trips = scaled(5'000),
            .spin = std::chrono::milliseconds(10)}; // never over within a pass
}

template <class Trip>
seconds median_trip(const pace& at, Trip&& trip) {
    trip(); // its own pages and its workers are there
    std::vector<seconds> trips;
    for (std::uint64_t i = 0; i < at.trips; ++i) {
        if (at.pause.count() > 0) {
            std::this_thread::sleep_for(at.pause);
        }
        trips.push_back(trip());
    }
    return percentile(trips, 0.5);
}

seconds through_idle_node(const pace& at) {
    flow::graph g;
    forkflow::ordered_process_node<small_message, small_message> node(g, {.workers = 1, .spin = at.spin},
                                                                      computing_body<small_message>());
    std::uint64_t out = 0;
    flow::function_node<small_message, flow::continue_msg, flow::lightweight> sink(
        g, flow::serial, [&out](const small_message& message) noexcept { out = message.number; });
    flow::make_edge(node, sink);
    std::uint64_t number = 0;
    return median_trip(at, [&] {
        ++number;
        const seconds taken = timed([&] {
            node.try_put({.number = number, .payload = {}});
            g.wait_for_all();
        });
        if (out != number) {
            throw std::runtime_error("a wrong message came out");
        }
        return taken;
    });
}

seconds through_idle_queue(const pace& at) {
    forkflow::ordered_process_queue<small_message, small_message> queue({.workers = 1, .spin = at.spin},
                                                                        computing_body<small_message>());
    std::uint64_t number = 0;
    return median_trip(at, [&] {
        ++number;
        std::uint64_t out = 0;
        const seconds taken = timed([&] {
            queue.put({.number = number, .payload = {}});
            out = queue.get()->number;
        });
        if (out != number) {
            throw std::runtime_error("a wrong message came out");
        }
        return taken;
    });
}

seconds through_bare_words(const pace& at) {
    echo_process echo(at.how);
    return median_trip(at, [&] { return echo.round_trip(); });
}

} // namespace

void register_benchmarks() {
    add_comparison(
        {.name = "round_trip/parked/node",
         .what = "one message into an idle node and out, median: time to a bare parked futex round "
                 "trip",
         .at_most = 1.3},
        [] { return through_idle_node(parked_pace()); }, [] { return through_bare_words(parked_pace()); });
    add_comparison(
        {.name = "round_trip/parked/queue",
         .what = "one message into an idle `ordered_process_queue` and out, median: time to a bare parked "
                 "futex round trip"},
        [] { return through_idle_queue(parked_pace()); }, [] { return through_bare_words(parked_pace()); });
    add_comparison(
        {.name = "round_trip/spinning/node",
         .what = "one message into a node and out, spinning allowed (`spin`): time to a polled "
                 "round trip",
         .at_most = 5.0},
        [] { return through_idle_node(spinning_pace()); },
        [] { return through_bare_words(spinning_pace()); });
    add_comparison(
        {.name = "round_trip/spinning/queue",
         .what = "one message into an `ordered_process_queue` and out, spinning allowed (`spin`): time to a "
                 "polled round trip"},
        [] { return through_idle_queue(spinning_pace()); },
        [] { return through_bare_words(spinning_pace()); });
}

} // namespace forkflow_benchmark
