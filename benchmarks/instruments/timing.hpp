// SPDX-License-Identifier: MIT
// Time taken, and the median of several.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace forkflow_benchmark {

using seconds = std::chrono::duration<double>;

template <class Run>
seconds timed(Run&& run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::steady_clock::now() - start;
}

/// The value below which this part of the values lies: 0.5 is the median.
template <class Value>
Value percentile(std::vector<Value> values, double part) {
    const auto place =
        values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

} // namespace forkflow_benchmark
