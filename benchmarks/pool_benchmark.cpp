// SPDX-License-Identifier: MIT
// What a pool costs without messages: until it is ready, while it is idle, and in memory.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/process_costs.hpp"
#include "instruments/readiness.hpp"
#include "instruments/rows.hpp"
#include "peers/child_process.hpp"
#include "support/processes.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>

namespace forkflow_benchmark {
namespace {

namespace flow = tbb::flow;
using node = forkflow::ordered_process_node<small_message, small_message>;

std::chrono::milliseconds idle_time() {
    switch (chosen_effort()) {
    case effort::full:
        return std::chrono::seconds(10);
    case effort::quick:
        return std::chrono::seconds(2);
    case effort::smoke:
        break;
    }
    return std::chrono::milliseconds(20);
}

/// A node that has had work and has none now.
class idle_node {
public:
    explicit idle_node(std::size_t workers)
        : node_(g_, {.workers = workers, .worker_init = ready_.worker_init()},
                computing_body<small_message>()) {
        ready_.wait_for(workers);
        for (std::uint64_t number = 0; number < 1'000; ++number) {
            node_.try_put({.number = number, .payload = {}});
        }
        g_.wait_for_all();
        wait_until_nobody_runs();
    }

private:
    /// Whoever spins goes to sleep after a while. If somebody never does, that is measured.
    static void wait_until_nobody_runs() {
        process_costs before = costs_of_others();
        forkflow_test::comes_true_within(std::chrono::seconds(2), [&before] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            const process_costs now = costs_of_others();
            const bool at_rest = (now - before).running.count() == 0;
            before = now;
            return at_rest;
        });
    }

    readiness ready_;
    flow::graph g_;
    node node_;
};

process_costs costs_of_idleness() {
    const idle_node idle(2);
    const process_costs before = costs_of_others();
    std::this_thread::sleep_for(idle_time());
    return costs_of_others() - before;
}

seconds pool_is_ready(std::size_t workers) {
    const readiness ready;
    flow::graph g;
    std::optional<node> made; // taken down after the clock has stopped
    return timed([&] {
        made.emplace(g, forkflow::pool_options{.workers = workers, .worker_init = ready.worker_init()},
                     computing_body<small_message>());
        ready.wait_for(workers);
    });
}

seconds forks(std::size_t count) {
    return timed([&] {
        for (std::size_t i = 0; i < count; ++i) {
            const child_process child([] {});
        }
    });
}

/// MiB that only this worker has: its own copies of the program's pages, its page of the rings.
double private_memory_of_a_worker() {
    constexpr std::size_t workers = 8;
    const idle_node idle(workers);
    std::uint64_t kib = 0;
    for (const pid_t pid : forkflow_test::workers_of(::getpid())) {
        const std::string rollup = "/proc/" + std::to_string(pid) + "/smaps_rollup";
        kib += field_of(rollup, "Private_Clean:") + field_of(rollup, "Private_Dirty:");
    }
    return static_cast<double>(kib) / 1024 / workers;
}

} // namespace

void register_benchmarks() {
    const std::string time = std::to_string(idle_time().count() / 1000) + " s";
    add_quantity(
        {.name = "idle/wakeups",
         .what = "idle node, 2 workers: wakeups of all its threads and processes over " + time,
         .at_most = 0.0},
        "wakeups", [] { return static_cast<double>(costs_of_idleness().sleeps); }, 1);
    add_quantity(
        {.name = "idle/processor_time",
         .what = "idle node, 2 workers: processor time over " + time,
         .at_most = 0.0},
        "us", [] { return static_cast<double>(costs_of_idleness().running.count()) / 1000; }, 1);
    add_comparison(
        {.name = "start/8_workers/to_9_forks",
         .what = "pool of 8 workers ready: time to 9 × fork + exit + wait of the same program",
         .at_most = 2.0},
        [] { return pool_is_ready(8); }, [] { return forks(9); });
    add_quantity({.name = "memory/idle_worker",
                  .what = "memory of an idle worker: private, beyond the fork's shared pages",
                  .at_most = 1.0},
                 "MiB", private_memory_of_a_worker);
}

} // namespace forkflow_benchmark
