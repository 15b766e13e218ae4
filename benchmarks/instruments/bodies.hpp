// SPDX-License-Identifier: MIT
// What is done with a message: nothing, or as much computing as takes a given time of one processor.
#pragma once

#include "instruments/messages.hpp"
#include "instruments/timing.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>

namespace forkflow_benchmark {

/// Takes `rounds` times as much processor time as one.
inline void compute(std::uint64_t rounds) {
    std::uint64_t value = rounds;
    for (; rounds > 0; --rounds) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        benchmark::DoNotOptimize(value);
    }
}

/// How many rounds of `compute` this processor makes in a microsecond when nothing else runs: the best of
/// many tries. Measured once per process.
inline double rounds_per_us() {
    static const double measured = [] {
        constexpr std::uint64_t tried = 20'000;
        auto best = seconds::max();
        for (int i = 0; i < 200; ++i) {
            best = std::min(best, timed([] { compute(tried); }));
        }
        return static_cast<double>(tried) / (best.count() * 1e6);
    }();
    return measured;
}
inline std::uint64_t rounds_of(std::chrono::duration<double, std::micro> time) {
    return static_cast<std::uint64_t>(time.count() * rounds_per_us());
}

/// Computes and gives the message back.
template <class Message>
struct computing_body {
    std::uint64_t rounds = 0;
    Message operator()(const Message& in) const {
        compute(rounds);
        return in;
    }
};

/// A body that one lock lets run only once at a time, as for a library that is not thread-safe.
template <class Body>
struct locked_body {
    std::mutex* lock;
    Body body;
    template <class Message>
    Message operator()(const Message& in) const {
        const std::scoped_lock held(*lock);
        return body(in);
    }
};

} // namespace forkflow_benchmark
