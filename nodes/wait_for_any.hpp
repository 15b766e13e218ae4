// SPDX-License-Identifier: MIT
// Waiting for several descriptors, also where the system refuses to look at so many.
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>

namespace forkflow::nodes {

/// As ppoll, for at most `patience_ns` (negative: for ever). That refuses more entries than the process may
/// have open descriptors, as when its limit was lowered since, and may have no memory for so many: then each
/// is looked at by itself, after memory_pause. False: not even that was possible, and `revents` tells of all
/// that they are ready, so that who tries them without blocking goes on.
[[nodiscard]] bool wait_for_any(std::span<pollfd> watched, std::int64_t patience_ns);

} // namespace forkflow::nodes
