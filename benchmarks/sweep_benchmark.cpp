// SPDX-License-Identifier: MIT
// The cost of a message against the length of its body, its size, the number of workers, and the window, in
// each way to have it processed in order. These are the points of the plots.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "instruments/ways.hpp"
#include "peers/message_queue_pool.hpp"
#include "peers/pipe_pool.hpp"
#include "peers/python_pools.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <vector>

namespace forkflow_benchmark {
namespace {

/// One place in the sweeps. All ways get the same.
struct place {
    double body_us = 0;
    std::size_t size_bytes = 64;
    std::size_t workers = 2;
    std::size_t window = 20;

    [[nodiscard]] std::uint64_t rounds() const {
        return rounds_of(std::chrono::duration<double, std::micro>(body_us));
    }
    [[nodiscard]] computing_body<sized_message> body() const { return {rounds()}; }
    [[nodiscard]] sized_messages source() const { return {size_bytes}; }
    /// So many messages that a pass takes some 20 ms if each has this overhead.
    [[nodiscard]] load all(double overhead_us = 1) const {
        const double handover_us = window < 8 ? 50 : overhead_us; // sleeping and waking, message by message
        const double copying_us = static_cast<double>(size_bytes) / 1000;
        const double messages = 20'000 / (body_us / 2 + handover_us + copying_us);
        return {.messages = scaled(std::max<std::uint64_t>(static_cast<std::uint64_t>(messages), 50)),
                .workers = workers,
                .window = window,
                .most_bytes = size_bytes + 64};
    }
};

using way = std::function<seconds(const place&)>;

seconds node(const place& at) {
    return through_node(at.all(), at.source(), at.body());
}
seconds node_with_large_window(place at) {
    at.window = 1024;
    return node(at);
}
// oneTBB's own ways run in as many threads as there are workers.
seconds limited_sequencer(const place& at) {
    return with_threads(at.workers, [&] { return through_sequencer(at.all(), at.source(), at.body()); });
}
seconds sequencer(const place& at) {
    load all = at.all();
    all.window = 0;
    return with_threads(at.workers, [&] { return through_sequencer(all, at.source(), at.body()); });
}
seconds locked_sequencer(const place& at) {
    load all = at.all();
    all.window = 0;
    std::mutex lock;
    const locked_body<computing_body<sized_message>> body{&lock, at.body()};
    return with_threads(at.workers, [&] { return through_sequencer(all, at.source(), body); });
}
seconds pipeline(const place& at) {
    return with_threads(at.workers, [&] { return through_pipeline(at.all(), at.source(), at.body()); });
}
seconds pipes(const place& at) {
    return through_pipes(at.all(2), at.size_bytes, at.rounds());
}
seconds message_queues(const place& at) {
    return through_message_queues(at.all(5), at.size_bytes, at.rounds());
}
seconds python_imap(const place& at) {
    return through_python("imap", at.all(30), at.size_bytes, at.body_us);
}
seconds python_executor(const place& at) {
    return through_python("executor", at.all(130), at.size_bytes, at.body_us);
}

/// All values of an axis in a full run, every second one in a quick one, and the smallest and the largest
/// where it only matters that it runs.
template <class Value>
std::vector<Value> values(std::initializer_list<Value> all) {
    const std::size_t steps[] = {all.size() - 1, 2, 1};
    std::vector<Value> chosen;
    for (std::size_t i = 0; i < all.size(); i += steps[static_cast<int>(chosen_effort())]) {
        chosen.push_back(all.begin()[i]);
    }
    return chosen;
}

void add(const std::string& axis, double x, const std::string& name, const way& run, const place& at,
         int repetitions = 0) {
    add_point(
        axis, name, x, [run, at] { return run(at); }, repetitions);
}

/// The ways that are in every sweep but that of the window.
void add_all(const std::string& axis, double x, const place& at) {
    add(axis, x, "node", node, at);
    add(axis, x, "sequencer", sequencer, at);
    add(axis, x, "pipeline", pipeline, at);
    add(axis, x, "pipes", pipes, at);
    add(axis, x, "message_queues", message_queues, at);
    if (chosen_effort() != effort::smoke) { // Python takes long to start
        const int repetitions = chosen_effort() == effort::full ? 3 : 1;
        add(axis, x, "python_imap", python_imap, at, repetitions);
        add(axis, x, "python_executor", python_executor, at, repetitions);
    }
}

void sweep_body() {
    for (const double body_us : values({0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0})) {
        const place at{.body_us = body_us};
        add_all("body", body_us, at);
        add("body", body_us, "node_window_1024", node_with_large_window, at);
        add("body", body_us, "sequencer_locked", locked_sequencer, at);
    }
}

void sweep_payload() {
    for (const std::size_t size_bytes : values<std::size_t>({8, 64, 512, 4096, 32768, 262144, 1048576})) {
        add_all("payload", static_cast<double>(size_bytes), {.size_bytes = size_bytes});
    }
}

void sweep_workers() {
    for (const std::size_t workers : values<std::size_t>({1, 2, 4, 8})) {
        add_all("workers", static_cast<double>(workers),
                {.body_us = 20, .workers = workers, .window = 10 * workers});
    }
}

void sweep_window() {
    for (const std::size_t window : values<std::size_t>({1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096})) {
        const place at{.window = window};
        const auto x = static_cast<double>(window);
        add("window", x, "node", node, at);
        add("window", x, "sequencer_limited", limited_sequencer, at);
        add("window", x, "pipeline", pipeline, at);
        add("window", x, "message_queues", message_queues, at);
    }
}

} // namespace

void register_benchmarks() {
    sweep_body();
    sweep_payload();
    sweep_workers();
    sweep_window();
}

} // namespace forkflow_benchmark
