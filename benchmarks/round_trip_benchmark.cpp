// SPDX-License-Identifier: MIT
// How long one message takes into an idle node and out again, beside the least that a round trip between two
// processes can take: asleep on futexes, or looking again and again.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "peers/echo_process.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <oneapi/tbb/task_arena.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
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

/// The graph of the node is in the arena that is current.
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

/// The graph has no other thread than the one that waits for it.
seconds through_idle_node_in_one_thread(const pace& at) {
    tbb::task_arena one_thread(1);
    return one_thread.execute([&] { return through_idle_node(at); });
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

/// One row, beside the bare words at the same pace.
void add_trip(const std::string& name, const std::string& what, std::optional<double> at_most,
              seconds (*through)(const pace&), const pace& at) {
    add_comparison(
        {.name = "round_trip/" + name, .what = what, .at_most = at_most}, [=] { return through(at); },
        [=] { return through_bare_words(at); });
}

} // namespace

void register_benchmarks() {
    const std::string parked = ", median: time to a bare parked futex round trip";
    const std::string polled = ", spinning allowed (`spin`): time to a polled round trip";
    const std::string alone = ", its graph in an arena of one thread";
    const std::string through_queue = "one message into an idle `ordered_process_queue` and out";
    add_trip("parked/node", "one message into an idle node and out" + parked, 1.3, through_idle_node,
             parked_pace());
    add_trip("parked/node_in_one_thread", "one message into an idle node and out" + alone + parked, 1.3,
             through_idle_node_in_one_thread, parked_pace());
    add_trip("parked/queue", through_queue + parked, std::nullopt, through_idle_queue, parked_pace());
    add_trip("spinning/node", "one message into a node and out" + polled, 5.0, through_idle_node,
             spinning_pace());
    add_trip("spinning/node_in_one_thread", "one message into a node and out" + alone + polled, 5.0,
             through_idle_node_in_one_thread, spinning_pace());
    add_trip("spinning/queue", through_queue + polled, std::nullopt, through_idle_queue, spinning_pace());
}

} // namespace forkflow_benchmark
