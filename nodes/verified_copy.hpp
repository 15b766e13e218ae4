// SPDX-License-Identifier: MIT
// The parent's private copy of a result that is to be verified: nobody can change it between check and use.
#pragma once

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/reorder_window.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace forkflow::nodes {

/// Holds one result at a time. Not thread-safe.
class verified_copy {
public:
    /// Copies the payload of a published result and lets `outcome` refer to the copy, until the next call. If
    /// the copy is not what belongs to `check`, the outcome is not intact; if there is no memory for it, it
    /// is not in memory; in either case it is not sound. Cost: a copy, and a pass over it.
    void take(waiting_outcome& outcome, std::uint64_t check);
    /// Gives memory back, if it is much. No outcome refers to it any more.
    void forget() noexcept;

private:
    struct alignas(payload_alignment) block {
        std::byte bytes[payload_alignment];
    };
    std::vector<block> memory_;
};

} // namespace forkflow::nodes
