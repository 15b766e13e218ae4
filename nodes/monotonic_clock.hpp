// SPDX-License-Identifier: MIT
// The clock that processes share.
#pragma once

#include <chrono>
#include <cstdint>

namespace forkflow::nodes {

/// CLOCK_MONOTONIC in nanoseconds: the same in all processes of the machine.
[[nodiscard]] inline std::int64_t monotonic_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

} // namespace forkflow::nodes
