// SPDX-License-Identifier: MIT
// When a time-out of any duration type ends.
#pragma once

#include <chrono>

namespace forkflow::detail {

/// The moment at which `timeout`, begun now, has passed. Any type of duration, any value: what lies beyond
/// the clock's reach is time_point::max(), which nobody lives to see; zero and less is time_point::min().
template <class Rep, class Period>
[[nodiscard]] std::chrono::steady_clock::time_point
deadline_after(std::chrono::duration<Rep, Period> timeout) {
    using clock = std::chrono::steady_clock;
    using seconds = std::chrono::duration<long double>; // as wide as any: integers of two units may overflow
    if (timeout <= timeout.zero()) {
        return clock::time_point::min();
    }
    const auto now = clock::now();
    if (!(seconds(timeout) < seconds(clock::time_point::max() - now))) {
        return clock::time_point::max();
    }
    return now + std::chrono::ceil<clock::duration>(timeout);
}

} // namespace forkflow::detail
