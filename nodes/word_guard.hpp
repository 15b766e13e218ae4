// SPDX-License-Identifier: MIT
// The guard of the state words: tells those that no transition of the protocol can have written, and lets
// their messages fail.
#pragma once

#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>

#include <atomic>
#include <cstdint>
#include <optional>

namespace forkflow::nodes {

/// Goes by the parent's own log of commits; so a wild worker cannot make it err.
/// Thread-safe.
class word_guard {
public:
    word_guard(const rings& shared, const seat_table& seats, failure_shelf& failures);

    /// While it lives, the parent may be claiming messages to let them fail.
    class parent_claim {
    public:
        explicit parent_claim(word_guard& guard) noexcept
            : guard_(guard) {
            guard_.parent_claims_.fetch_add(1, std::memory_order_seq_cst);
        }
        ~parent_claim() { guard_.parent_claims_.fetch_sub(1, std::memory_order_seq_cst); }
        parent_claim(const parent_claim&) = delete;
        parent_claim& operator=(const parent_claim&) = delete;

    private:
        word_guard& guard_;
    };
    /// True if `number` was committed and its word is none that the protocol knows. Cheap for a sound word.
    [[nodiscard]] bool is_wild(sequence number) const noexcept;
    /// If the word is wild, it is put right where the parent knows how; else the message fails. Only once
    /// nobody can be at work on the message any more: when all workers that lived when the word was found are
    /// reaped.
    void mend(sequence number);
    /// The failure of such a message.
    [[nodiscard]] static failure wild_word(sequence number) noexcept;

private:
    [[nodiscard]] bool is_sound(const state_word& word, const state_word& committed) const noexcept;
    /// A wild word, and what the parent wrote there.
    struct finding {
        std::uint64_t bits;
        state_word committed;
    };
    [[nodiscard]] std::optional<finding> look_at(sequence number) const noexcept;

    const rings& shared_;
    const seat_table& seats_;
    failure_shelf& failures_;
    std::atomic<unsigned> parent_claims_{0};
};

} // namespace forkflow::nodes
