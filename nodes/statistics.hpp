// SPDX-License-Identifier: MIT
// A snapshot of what a pool has done and holds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace forkflow {

/// One consistent snapshot: received == emitted + in_flight, and emitted == results + failures + markers +
/// dropped. The split of in_flight is counted message by message while workers go on, so it may be off by
/// what they did during the call.
struct statistics {
    std::uint64_t received = 0; ///< messages that got a sequence
    std::uint64_t emitted = 0;  ///< outcomes taken in order
    std::uint64_t results = 0;
    std::uint64_t failures = 0;
    std::uint64_t markers = 0;
    std::uint64_t dropped = 0; ///< thrown away after the graph was cancelled or reset; not what was queued

    std::size_t in_flight = 0; ///< received and not emitted
    std::size_t waiting = 0;   ///< of these, waiting for a worker
    std::size_t running = 0;   ///< of these, in a worker
    std::size_t finished = 0;  ///< of these, finished and waiting for their turn (markers included)
    std::size_t queued = 0;    ///< accepted by the node but not received by the pool yet

    std::size_t workers = 0;  ///< capacity, as resolved
    std::size_t window = 0;   ///< capacity, as resolved
    std::size_t requests = 0; ///< capacity, as resolved

    std::uint64_t deaths = 0;   ///< workers that died without having been asked to
    std::uint64_t recycled = 0; ///< workers that were relieved, as the options for recycling say
    std::uint64_t retries = 0;  ///< messages given to another worker after a death
};

} // namespace forkflow
