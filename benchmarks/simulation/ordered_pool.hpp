// SPDX-License-Identifier: MIT
// A simulation of a pool that keeps order: how long a stream of messages takes, given how long each one runs.
//
// There is always a next message. A free worker takes the oldest. One that has finished message s hands it in
// if s is admitted: if s - window has been emitted; else it waits, and takes nothing meanwhile. Everything
// but running takes no time.
//
// The events need no queue: messages are taken in their order, so that whatever decides when message s is
// handed in is known when s is taken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <queue>
#include <vector>

namespace forkflow_benchmark {

/// When each message is emitted. `requests`: how many may wait or run, 0: as many as the window.
inline std::vector<double> emission_times(const std::vector<double>& run_times, std::size_t workers,
                                          std::size_t window, std::size_t requests = 0) {
    const std::size_t most_running = std::min(workers, requests == 0 ? window : requests);
    std::priority_queue<double, std::vector<double>, std::greater<>> free_at(
        std::greater<>(), std::vector<double>(most_running, 0.0));
    std::vector<double> emitted(run_times.size());
    for (std::size_t s = 0; s < run_times.size(); ++s) {
        const double taken = free_at.top();
        free_at.pop();
        const double admitted = s < window ? 0.0 : emitted[s - window];
        const double handed_in = std::max(taken + run_times[s], admitted);
        emitted[s] = std::max(handed_in, s == 0 ? 0.0 : emitted[s - 1]);
        free_at.push(handed_in);
    }
    return emitted;
}

/// The throughput with this window, as a share of that with no bound at all.
inline double share_of_full_throughput(const std::vector<double>& run_times, std::size_t workers,
                                       std::size_t window) {
    return emission_times(run_times, workers, run_times.size()).back() /
           emission_times(run_times, workers, window).back();
}

/// The smallest window with this share of full throughput, to 1 %.
inline std::size_t window_for(double share, const std::vector<double>& run_times, std::size_t workers) {
    const double longest = emission_times(run_times, workers, run_times.size()).back() / share;
    std::size_t too_small = 0;
    std::size_t enough = run_times.size();
    while (enough - too_small > std::max<std::size_t>(enough / 100, 1)) {
        const std::size_t middle = too_small + (enough - too_small) / 2;
        (emission_times(run_times, workers, middle).back() > longest ? too_small : enough) = middle;
    }
    return enough;
}

} // namespace forkflow_benchmark
