// SPDX-License-Identifier: MIT
// The guard of the state words: tells those that no transition of the protocol can have written, and lets
// their messages fail.
#pragma once

#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>

#include <atomic>
#include <vector>

namespace forkflow::nodes {

/// Knows, in the parent's own memory, which numbers were committed; so a wild worker cannot make it err.
/// Thread-safe.
class word_guard {
public:
    word_guard(const rings& shared, const seat_table& seats, failure_shelf& failures);

    /// To be called after the commit of `number`.
    void committed(sequence number) noexcept {
        place_of(number).store(committed_bit | number, std::memory_order_release); // the acquire in is_wild
    }
    /// True if `number` was committed and its word is none that the protocol knows. Cheap for a sound word.
    [[nodiscard]] bool is_wild(sequence number) const noexcept;
    /// If the word is wild, the message fails. Only once nobody can be at work on the message any more: when
    /// all workers that lived when the word was found are reaped.
    void mend(sequence number);
    /// The failure of such a message.
    [[nodiscard]] static failure wild_word(sequence number);

private:
    static constexpr std::uint64_t committed_bit = std::uint64_t{1} << 32U;

    [[nodiscard]] bool is_sound(const state_word& word, sequence number) const noexcept;
    [[nodiscard]] std::atomic<std::uint64_t>& place_of(sequence number) const noexcept {
        return committed_[number & (committed_.size() - 1)];
    }

    const rings& shared_;
    const seat_table& seats_;
    failure_shelf& failures_;
    mutable std::vector<std::atomic<std::uint64_t>> committed_; ///< by number: committed_bit | the last one
};

} // namespace forkflow::nodes
