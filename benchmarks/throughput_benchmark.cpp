// SPDX-License-Identifier: MIT
// How much of the processors reaches the bodies, where bodies compute: rows of the table for bodies of equal
// length, for bodies behind a lock, and for a few long ones among many short ones.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "instruments/ways.hpp"
#include "simulation/ordered_pool.hpp"
#include "simulation/run_times.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace forkflow_benchmark {
namespace {

using microseconds = std::chrono::duration<double, std::micro>;

/// What two processors do in their own time when nothing is sent: the time of one round in each of them.
seconds time_of_a_round(std::uint64_t rounds_in_each) {
    const seconds taken = timed([&] {
        std::thread other([&] { compute(rounds_in_each); });
        compute(rounds_in_each);
        other.join();
    });
    return taken / static_cast<double>(rounds_in_each);
}

load computing_load(microseconds body) {
    return {.messages = scaled(static_cast<std::uint64_t>(microseconds(seconds(0.2)) / body)), .workers = 2};
}

/// `window`: 0 for the default.
void add_ideal_row(const std::string& name, const std::string& in_words, std::size_t window) {
    constexpr microseconds body(20);
    add_comparison(
        {.name = "computing/20_us/" + name,
         .what = "20 µs of computing, 2 workers, " + in_words + ": throughput to the ideal of 2 CPUs",
         .at_least = 0.95},
        [=] {
            load all = computing_load(body);
            all.window = window;
            return through_node(all, small_messages(), computing_body<small_message>{rounds_of(body)});
        },
        [=] {
            const std::uint64_t in_each = computing_load(body).messages / 2 * rounds_of(body);
            return time_of_a_round(in_each) * static_cast<double>(rounds_of(body)) / 2;
        });
}

void add_locked_row(microseconds body) {
    const std::string length = std::to_string(static_cast<int>(body.count()));
    add_comparison(
        {.name = "computing/" + length + "_us/to_locked",
         .what = length + " µs of computing that one lock lets run once at a time, 2 workers: "
                          "speed to `function_node` → `sequencer_node`",
         .at_least = 1.9},
        [=] {
            return through_node(computing_load(body), small_messages(),
                                computing_body<small_message>{rounds_of(body)});
        },
        [=] {
            std::mutex lock;
            return through_sequencer(computing_load(body), small_messages(),
                                     locked_body<computing_body<small_message>>{&lock, {rounds_of(body)}});
        });
}

/// Computes as long as the message says.
struct told_body {
    small_message operator()(const small_message& in) const {
        compute(in.payload[0]);
        return in;
    }
};
struct told_messages {
    using type = small_message;
    const std::vector<std::uint64_t>* rounds;
    small_message operator()(std::uint64_t number) const {
        return {.number = number, .payload = {(*rounds)[number % rounds->size()]}};
    }
};

void add_mixed_row() {
    const auto times = run_times("one_in_50_times_100", 2'000);
    std::vector<std::uint64_t> rounds;
    for (const double time : times) {
        rounds.push_back(rounds_of(microseconds(20 * mixture().mean() * time)));
    }
    add_comparison(
        {.name = "computing/mixed/to_simulation",
         .what = "20 µs of computing, 1 in 50 takes 100 times longer, 2 workers, default window: "
                 "throughput to the best possible with that window (simulated)",
         .at_least = 0.95},
        [rounds] {
            const load all{.messages = scaled(rounds.size()), .workers = 2};
            return through_node(all, told_messages{&rounds}, told_body());
        },
        [rounds] {
            // Those that the node was timed with: behind its warm-up.
            const detail::passage at(scaled(rounds.size()));
            std::vector<double> sent;
            for (std::uint64_t number = at.warm_up; number < at.all; ++number) {
                sent.push_back(static_cast<double>(rounds[number % rounds.size()]));
            }
            const auto in_each =
                static_cast<std::uint64_t>(std::accumulate(sent.begin(), sent.end(), 0.0) / 2);
            const double all_rounds = emission_times(sent, 2, 20).back();
            return time_of_a_round(in_each) * all_rounds / static_cast<double>(sent.size());
        });
}

} // namespace

void register_benchmarks() {
    add_ideal_row("to_ideal", "default window", 0);
    add_ideal_row("window_1024/to_ideal", "window 1024", 1024);
    add_locked_row(microseconds(20));
    add_locked_row(microseconds(100));
    add_mixed_row();
}

} // namespace forkflow_benchmark
