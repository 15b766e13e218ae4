// SPDX-License-Identifier: MIT
// The set of seats that sleep: a sleeper enters itself, and whoever takes it out owes it a ring.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <optional>

namespace forkflow::nodes {

/// Enters `seat`. seq_cst: the "says so" of (D1) and (D2).
inline void insert(seat_set& set, std::uint32_t seat) noexcept {
    set.words[seat / 64].fetch_or(std::uint64_t{1} << (seat % 64), std::memory_order_seq_cst);
}

/// Takes `seat` out; true if it was in, that is, if the caller now owes the ring (or, for the sleeper: nobody
/// does).
inline bool erase(seat_set& set, std::uint32_t seat) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (seat % 64);
    return (set.words[seat / 64].fetch_and(~bit, std::memory_order_seq_cst) & bit) != 0;
}

/// A hint, without a partner.
[[nodiscard]] inline bool contains(const seat_set& set, std::uint32_t seat) noexcept {
    return (set.words[seat / 64].load(std::memory_order_relaxed) >> (seat % 64) & 1U) != 0;
}

/// Calls `visit(seat)` for each member among the first `seats`. seq_cst loads: the "looks who sleeps" of (D1)
/// and (D2).
template <class Visit>
void for_each_seat(const seat_set& set, std::size_t seats, Visit&& visit) {
    for (std::size_t word = 0; word * 64 < seats; ++word) {
        std::uint64_t members = set.words[word].load(std::memory_order_seq_cst);
        if (seats - word * 64 < 64) { // a seat beyond the last would be a worker's scribble
            members &= (std::uint64_t{1} << (seats - word * 64)) - 1;
        }
        for (; members != 0; members &= members - 1) {
            if (!visit(static_cast<std::uint32_t>(word * 64) +
                       static_cast<std::uint32_t>(std::countr_zero(members)))) {
                return;
            }
        }
    }
}

} // namespace forkflow::nodes
