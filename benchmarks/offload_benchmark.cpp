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
constexpr std::size_t default_window = 0;

const computing_body<small_message> nothing{};

/// One way to send them: how many workers, the window, and who feeds.
struct sending {
    std::size_t workers;
    std::size_t window;
    feed by = feed::input_node;

    [[nodiscard]] load all() const {
        return {.messages = scaled(100'000), .workers = workers, .window = window, .by = by};
    }
    [[nodiscard]] std::string name() const {
        return (window == default_window ? "default_window" : "window_" + std::to_string(window)) +
               "/workers_" + std::to_string(workers);
    }
    [[nodiscard]] std::string words() const {
        return "64 B, empty body, " +
               (window == default_window ? "default window" : "window " + std::to_string(window)) + ", " +
               std::to_string(workers) + (workers == 1 ? " worker" : " workers");
    }
};

void add_sequencer_row(const sending& how) {
    const std::string fed = how.by == feed::try_put ? "try_put" : "input_node";
    load peers = how.all();
    peers.window = 0; // a sequencer_node has none
    add_comparison(
        {.name = "empty_body/" + how.name() + "/" + fed + "/to_sequencer",
         .what = how.words() + ", fed by " + fed + ": time to `function_node` → `sequencer_node`",
         .at_most = how.window == default_window ? 1.0 : 0.5},
        [=] { return through_node(how.all(), small_messages(), nothing); },
        [=] { return through_sequencer(peers, small_messages(), nothing); });
}

void add_pipeline_row(const sending& how) {
    load peers = how.all();
    peers.window = how.window == default_window ? 10 * how.workers : how.window;
    add_comparison(
        {.name = "empty_body/" + how.name() + "/to_pipeline",
         .what = how.words() + ": time to `parallel_pipeline` with as many tokens",
         .at_most = 1.0},
        [=] { return through_node(how.all(), small_messages(), nothing); },
        [=] { return through_pipeline(peers, small_messages(), nothing); });
}

void add_python_row() {
    const sending how{.workers = 2,
                      .window = large_window}; // imap has no bound: it sends all that it is given
    add_comparison(
        {.name = "empty_body/" + how.name() + "/to_python_imap",
         .what = how.words() + ": speed to Python's `multiprocessing.Pool.imap`, chunksize 1",
         .at_least = 100.0},
        [=] { return through_node(how.all(), small_messages(), nothing); },
        [] {
            const load all{.messages = scaled(10'000), .workers = 2};
            return through_python("imap", all, sizeof(small_message), 0);
        });
}

} // namespace

void register_benchmarks() {
    for (const std::size_t window : {large_window, default_window}) {
        for (const std::size_t workers : {1U, 2U}) {
            add_sequencer_row({workers, window, feed::try_put});
            add_sequencer_row({workers, window, feed::input_node});
            add_pipeline_row({workers, window});
        }
    }
    add_python_row();
}

} // namespace forkflow_benchmark
