// SPDX-License-Identifier: MIT
// How much is measured: everything, a short look, or only that it runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace forkflow_benchmark {

enum class effort { smoke, quick, full };

/// The environment's FORKFLOW_BENCHMARK_EFFORT: smoke, quick, or full (the default).
inline effort chosen_effort() {
    const char* const set = std::getenv("FORKFLOW_BENCHMARK_EFFORT");
    const std::string name = set == nullptr ? "full" : set;
    if (name == "full") {
        return effort::full;
    }
    if (name == "quick") {
        return effort::quick;
    }
    if (name == "smoke") {
        return effort::smoke;
    }
    throw std::invalid_argument("FORKFLOW_BENCHMARK_EFFORT is smoke, quick or full, not " + name);
}

/// How many messages one pass has, which has `full` of them in a full run.
inline std::uint64_t scaled(std::uint64_t full) {
    switch (chosen_effort()) {
    case effort::full:
        return full;
    case effort::quick:
        return std::max<std::uint64_t>(full / 4, 1);
    case effort::smoke:
        break;
    }
    return std::max<std::uint64_t>(full / 500, 2);
}

} // namespace forkflow_benchmark
