// SPDX-License-Identifier: MIT
// What the parent has committed, in its own memory: so that no word of a worker makes it take what is not
// there.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace forkflow::nodes {

/// One place per sequence in flight. Of each number it tells as what it was committed: `ready`, `marker` or
/// `failed`; `empty`, if it was not. Thread-safe.
class commit_log {
public:
    /// `capacity`: a power of two, as rings::capacity.
    explicit commit_log(std::size_t capacity)
        : places_(capacity) {}

    /// To be called when all that the message consists of is written, before its state word is.
    void begin(sequence number, message_state state) noexcept { store(number, state, 0); }
    /// To be called when its state word is written.
    void end(sequence number, message_state state) noexcept { store(number, state, 1); }

    /// As what `number` was or is being committed: what it consists of is there.
    [[nodiscard]] message_state begun(sequence number) const noexcept { return find(number, 0); }
    /// As what it was committed: its state word was written.
    [[nodiscard]] message_state ended(sequence number) const noexcept { return find(number, 1); }

private:
    // A state word serves as the note; its attempt tells how far the commit is.
    void store(sequence number, message_state state, std::uint32_t progress) noexcept {
        const state_word note{.number = number, .state = state, .attempt = progress};
        places_[number & (places_.size() - 1)].store(note.packed(), std::memory_order_release);
    }
    [[nodiscard]] message_state find(sequence number, std::uint32_t progress) const noexcept {
        const state_word note = state_word::unpacked(
            places_[number & (places_.size() - 1)].load(std::memory_order_acquire)); // pairs with store
        return note.number == number && note.attempt >= progress ? note.state : message_state::empty;
    }

    std::vector<std::atomic<std::uint64_t>> places_;
};

} // namespace forkflow::nodes
