// SPDX-License-Identifier: MIT
// How large the window must be: simulated for 2 to 256 workers and several spreads of run times, and the
// simulation checked against the real node, with bodies that sleep, so that there may be more workers than
// processors.
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "instruments/ways.hpp"
#include "simulation/ordered_pool.hpp"
#include "simulation/run_times.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace forkflow_benchmark {
namespace {

constexpr double wanted_share = 0.95;

void add_needed_window(const std::string& spread, std::size_t workers) {
    add_benchmark(
        "window/needed/" + spread + "/" + std::to_string(workers), spread,
        [=](benchmark::State& state) {
            // So many that the longest one is a small part of all that a worker does.
            const std::vector<double> times =
                run_times(spread, scaled(200'000 + 20'000 * workers) + 100 * workers);
            std::size_t needed = 0;
            const seconds taken = timed([&] { needed = window_for(wanted_share, times, workers); });
            state.SetIterationTime(taken.count());
            state.counters["x"] = static_cast<double>(workers);
            state.counters["window"] = static_cast<double>(needed);
            state.counters["window_per_worker"] = static_cast<double>(needed) / static_cast<double>(workers);
            state.counters["share_with_10_per_worker"] =
                share_of_full_throughput(times, workers, 10 * workers);
        },
        1);
}

/// Sleeps as long as the message says, and tells how long it really was.
struct sleeping_body {
    small_message operator()(const small_message& in) const {
        small_message out = in;
        const seconds slept =
            timed([&] { std::this_thread::sleep_for(std::chrono::nanoseconds(in.payload[0])); });
        out.payload[1] = static_cast<std::uint64_t>(slept.count() * 1e9);
        return out;
    }
};

/// Sends messages that sleep so long, and returns by which factor the node was slower than the simulation of
/// what the bodies really took.
double measured_to_simulated(const std::vector<double>& sleeps_ns, std::size_t workers, std::size_t window) {
    flow::graph g;
    const readiness ready;
    forkflow::ordered_process_node<small_message, small_message> node(
        g, {.workers = workers, .window = window, .worker_init = ready.worker_init()}, sleeping_body());
    std::vector<double> really_ns;
    flow::function_node<small_message, flow::continue_msg, flow::lightweight> sink(
        g, flow::serial,
        [&](const small_message& message) { really_ns.push_back(static_cast<double>(message.payload[1])); });
    flow::make_edge(node, sink);
    ready.wait_for(workers);
    const seconds taken = timed([&] {
        std::uint64_t number = 0;
        for (const double sleep : sleeps_ns) {
            node.try_put({.number = number++, .payload = {static_cast<std::uint64_t>(sleep)}});
        }
        g.wait_for_all();
    });
    return taken.count() * 1e9 / emission_times(really_ns, workers, window).back();
}

void add_check(const std::string& spread, std::size_t workers, std::size_t window_per_worker) {
    constexpr double mean_ns = 1e6;
    const std::size_t window = workers * window_per_worker;
    add_benchmark("window/check/" + spread + "/" + std::to_string(workers) + "/" + std::to_string(window),
                  spread + ", " + std::to_string(workers) + " workers, window " + std::to_string(window),
                  [=](benchmark::State& state) {
                      std::vector<double> sleeps = run_times(spread, scaled(100 * workers) + 1);
                      for (double& sleep : sleeps) {
                          sleep *= mean_ns;
                      }
                      double ratio = 0;
                      const seconds taken =
                          timed([&] { ratio = measured_to_simulated(sleeps, workers, window); });
                      state.SetIterationTime(taken.count());
                      state.counters["measured_to_simulated"] = ratio;
                  });
}

} // namespace

void register_benchmarks() {
    for (const std::string& spread : spreads()) {
        for (std::size_t workers = 2; workers <= 256; workers *= 2) {
            add_needed_window(spread, workers);
        }
    }
    for (const char* const spread : {"constant", "exponential", "one_in_50_times_100"}) {
        for (const std::size_t workers : {2U, 8U, 16U}) {
            add_check(spread, workers, 2);
            add_check(spread, workers, 10);
        }
    }
}

} // namespace forkflow_benchmark
