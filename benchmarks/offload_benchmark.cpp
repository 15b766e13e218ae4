// SPDX-License-Identifier: MIT
// What a small message costs whose body does nothing: rows of the table that compare ordered_process_node
// with oneTBB's own ways to keep order in one process, and with Python's pool.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "instruments/ways.hpp"
#include "peers/python_pools.hpp"

#include <cstddef>
#include <string>

namespace forkflow_benchmark {
namespace {

constexpr std::size_t large_window = 1024;
constexpr std::size_t default_window = 20; // of two workers

const computing_body<small_message> nothing{};

load empty_load(std::size_t workers, std::size_t window, feed by = feed::input_node) {
    return {.messages = scaled(100'000), .workers = workers, .window = window, .by = by};
}

void add_sequencer_row(std::size_t workers, std::size_t window, feed by, double at_most) {
    const std::string fed = by == feed::try_put ? "try_put" : "input_node";
    const std::string count = std::to_string(workers);
    const bool is_default = window == default_window;
    add_comparison(
        {.name = "empty_body/" + (is_default ? std::string("default_window") : "window_1024") + "/workers_" +
                 count + "/" + fed + "/to_sequencer",
         .what = "64 B, empty body, " + (is_default ? std::string("default window") : "window 1024") + ", " +
                 count + (workers == 1 ? " worker" : " workers") + ", fed by " + fed +
                 ": time to `function_node` → `sequencer_node`",
         .at_most = at_most},
        [=] { return through_node(empty_load(workers, window, by), small_messages(), nothing); },
        [=] { return through_sequencer(empty_load(workers, 0, by), small_messages(), nothing); });
}

void add_pipeline_row(std::size_t workers, std::size_t window) {
    const std::string tokens = std::to_string(window);
    add_comparison(
        {.name = "empty_body/window_" + tokens + "/workers_" + std::to_string(workers) + "/to_pipeline",
         .what = "64 B, empty body, window " + tokens + ", " + std::to_string(workers) +
                 (workers == 1 ? " worker" : " workers") +
                 ": time to `parallel_pipeline` with as many tokens",
         .at_most = 1.0},
        [=] { return through_node(empty_load(workers, window), small_messages(), nothing); },
        [=] { return through_pipeline(empty_load(workers, window), small_messages(), nothing); });
}

void add_python_row() {
    // imap has no window: it sends all that it is given.
    add_comparison(
        {.name = "empty_body/window_1024/workers_2/to_python_imap",
         .what = "64 B, empty body, window 1024, 2 workers: speed to Python's "
                 "`multiprocessing.Pool.imap`, chunksize 1",
         .at_least = 100.0},
        [] { return through_node(empty_load(2, large_window), small_messages(), nothing); },
        [] {
            const load all{.messages = scaled(10'000), .workers = 2};
            return through_python("imap", all, sizeof(small_message), 0);
        });
}

} // namespace

void register_benchmarks() {
    for (const feed by : {feed::try_put, feed::input_node}) {
        add_sequencer_row(1, large_window, by, 0.5);
        add_sequencer_row(2, large_window, by, 0.5);
        add_sequencer_row(2, default_window, by, 1.0);
    }
    add_pipeline_row(1, large_window);
    add_pipeline_row(2, large_window);
    add_pipeline_row(2, default_window);
    add_python_row();
}

} // namespace forkflow_benchmark
