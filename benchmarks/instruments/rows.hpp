// SPDX-License-Identifier: MIT
// The rows of the table and the points of the plots, as Google benchmarks.
//
// A row compares a subject with its peer. One repetition runs both, in turn and in changing order, so that
// both see the same machine; its ratio is a counter of the benchmark, and so is what was promised. Medians
// and quartiles are taken over the repetitions.
#pragma once

#include "instruments/timing.hpp"

#include <benchmark/benchmark.h>

#include <functional>
#include <iomanip>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace forkflow_benchmark {

/// Thrown by a measurement that this machine does not allow: the row stays, and says why it is empty.
struct not_here : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct row {
    std::string name; ///< of the benchmark: row/<name>
    std::string what; ///< for the reader of the table
    /// Of the promise. `at_most` bounds the subject's time as a multiple of the peer's; `at_least` its speed.
    /// With neither, the row is there to be compared with.
    std::optional<double> at_most{};
    std::optional<double> at_least{};
};

/// Measures once: the time of one message, or of whatever the row is about.
using time_of_one = std::function<seconds()>;

/// Fills the counters of one repetition.
using repetition = std::function<void(benchmark::State&)>;

/// A benchmark of which each repetition runs once. 0 repetitions: as many as the command line says.
inline void add_benchmark(const std::string& name, const std::string& what, repetition once,
                          int repetitions = 0) {
    auto* const added =
        benchmark::RegisterBenchmark(name.c_str(), [what, once = std::move(once)](benchmark::State& state) {
            state.SetLabel(what);
            for (auto _ : state) {
                try {
                    once(state);
                } catch (const not_here& reason) {
                    state.SkipWithError(reason.what());
                    break;
                }
            }
        });
    added->Iterations(1)->UseManualTime()->Unit(benchmark::kMicrosecond);
    if (repetitions > 0) {
        added->Repetitions(repetitions);
    }
}

inline void add_goal(benchmark::State& state, const row& about) {
    if (about.at_most) {
        state.counters["at_most"] = *about.at_most;
    }
    if (about.at_least) {
        state.counters["at_least"] = *about.at_least;
    }
}

/// A row with the ratio of subject to peer.
inline void add_comparison(const row& about, time_of_one subject, time_of_one peer) {
    const auto once = [about, subject = std::move(subject), peer = std::move(peer),
                       subject_first = false](benchmark::State& state) mutable {
        subject_first = !subject_first;
        seconds peers = subject_first ? seconds::zero() : peer();
        const seconds subjects = subject();
        if (subject_first) {
            peers = peer();
        }
        state.SetIterationTime(subjects.count());
        state.counters["subject_ns"] = subjects.count() * 1e9;
        state.counters["peer_ns"] = peers.count() * 1e9;
        state.counters["ratio"] = about.at_least ? peers / subjects : subjects / peers;
        add_goal(state, about);
    };
    add_benchmark("row/" + about.name, about.what, once);
}

/// A row that is no ratio. `unit` is for the reader: "wakeups", "MiB".
inline void add_quantity(const row& about, const std::string& unit, std::function<double()> measure,
                         int repetitions = 0) {
    const auto once = [about, unit, measure = std::move(measure)](benchmark::State& state) {
        double value = 0;
        const seconds taken = timed([&] { value = measure(); });
        state.SetIterationTime(taken.count());
        state.counters["quantity_" + unit] = value;
        add_goal(state, about);
    };
    add_benchmark("row/" + about.name, about.what, once, repetitions);
}

/// One point of a plot: the time of one message at `x` of the axis, in this way of processing it.
inline void add_point(const std::string& axis, const std::string& way, double x, time_of_one cost,
                      int repetitions = 0) {
    const auto once = [x, cost = std::move(cost)](benchmark::State& state) {
        const seconds taken = cost();
        state.SetIterationTime(taken.count());
        state.counters["x"] = x;
        state.counters["ns"] = taken.count() * 1e9;
    };
    std::ostringstream name;
    name << "sweep/" << axis << '/' << way << '/' << std::setprecision(12) << x;
    add_benchmark(name.str(), way, once, repetitions);
}

/// Each *_benchmark.cpp says here what it measures; main() calls it.
void register_benchmarks();

} // namespace forkflow_benchmark
