// SPDX-License-Identifier: MIT
// How full the stack of a thread is.
#pragma once

namespace forkflow::nodes {

/// True while at least half of the calling thread's stack is unused; false if its bounds are not to be had,
/// or the caller runs on another stack than the thread's own, as a fiber does. Costs some nanoseconds; the
/// thread's first call asks the system, which opens /proc/self/maps for the main thread.
[[nodiscard]] bool stack_is_half_empty() noexcept;

} // namespace forkflow::nodes
