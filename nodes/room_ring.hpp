// SPDX-License-Identifier: MIT
// When who waits for room is rung.
#pragma once

#include <chrono>

namespace forkflow::nodes {

/// For the first place that becomes free; or late, for several at once, as rings are dear. A late ring may
/// not come although there is room: it waits for results, and the bodies that run may last, while other
/// workers lack bytes or places. That lets no worker wait that could work; but a thread shall not sleep on.
enum class room_ring { soon, late };

/// So long a thread waits for a late ring; then it asks for one that comes soon. While one that has asked
/// sleeps, each place rings.
inline constexpr std::chrono::milliseconds late_ring_patience(1);

} // namespace forkflow::nodes
