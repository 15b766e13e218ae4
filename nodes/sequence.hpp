// SPDX-License-Identifier: MIT
// Sequences: the arrival numbers of messages. They are 32 bits wide, wrap, and are compared by serial
// arithmetic.
#pragma once

#include <cstdint>

namespace forkflow::nodes {

/// The arrival number of a message. Wraps from 2^32 - 1 to 0.
using sequence = std::uint32_t;

/// How far `to` lies behind `from` in arrival order; negative if it came before. Meaningful while the two are
/// less than 2^31 apart (RFC 1982), which the bound on messages in flight guarantees.
[[nodiscard]] constexpr std::int32_t distance(sequence from, sequence to) noexcept {
    return static_cast<std::int32_t>(to - from);
}

/// True if `a` arrived before `b`.
[[nodiscard]] constexpr bool before(sequence a, sequence b) noexcept {
    return distance(a, b) > 0;
}

} // namespace forkflow::nodes
