// SPDX-License-Identifier: MIT
// Waiting for several descriptors, also where the system refuses to look at so many.
#pragma once

#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/lack_of_memory.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <thread>

namespace forkflow::nodes {

/// As ppoll, for at most `patience_ns` (negative: for ever). That refuses more entries than the process may
/// have open descriptors, as when its limit was lowered since, and may have no memory for so many: then each
/// is looked at by itself, after memory_pause. False: not even that was possible for some, whose `revents`
/// then tell that they are ready, so that who tries them without blocking goes on.
[[nodiscard]] bool wait_for_any(std::span<pollfd> watched, std::int64_t patience_ns);

/// Waits until the other end of a pipe is closed, or the process of a pidfd has ended; false: not within
/// `patience`. Where poll refuses to look, `has_ended` does, again and again.
template <class HasEnded>
[[nodiscard]] bool wait_for_end(const descriptor& watched, std::chrono::milliseconds patience,
                                HasEnded has_ended) {
    pollfd one{watched.get(), POLLIN, 0};
    const int seen = uninterrupted([&] { return ::poll(&one, 1, static_cast<int>(patience.count())); });
    if (seen != -1) {
        return seen > 0;
    }
    const auto end = std::chrono::steady_clock::now() + patience;
    bool ended = has_ended();
    while (!ended && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(memory_pause);
        ended = has_ended();
    }
    return ended;
}

} // namespace forkflow::nodes
