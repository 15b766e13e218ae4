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
    void begin(sequence number, message_state state) noexcept {
        place_of(number).store(note_of(number, state, 0), std::memory_order_release); // the acquire in find
    }
    /// To be called when its state word is written. By then the message may have left, and the place may have
    /// passed on to one a lap ahead: so it is noted only where the beginning still stands.
    void end(sequence number, message_state state) noexcept {
        std::uint64_t begun = note_of(number, state, 0);
        place_of(number).compare_exchange_strong(begun, note_of(number, state, 1), std::memory_order_release,
                                                 std::memory_order_relaxed); // the acquire in find
    }

    /// As what `number` was or is being committed: what it consists of is there.
    [[nodiscard]] message_state begun(sequence number) const noexcept { return find(number, 0); }
    /// As what it was committed: its state word was written.
    [[nodiscard]] message_state ended(sequence number) const noexcept { return find(number, 1); }

private:
    // A state word serves as the note; its attempt tells how far the commit is.
    static std::uint64_t note_of(sequence number, message_state state, std::uint32_t progress) noexcept {
        return state_word{.number = number, .state = state, .attempt = progress}.packed();
    }
    [[nodiscard]] message_state find(sequence number, std::uint32_t progress) const noexcept {
        const state_word note = state_word::unpacked(
            places_[index_of(number)].load(std::memory_order_acquire)); // pairs with begin and end
        return note.number == number && note.attempt >= progress ? note.state : message_state::empty;
    }
    [[nodiscard]] std::size_t index_of(sequence number) const noexcept {
        return number & (places_.size() - 1);
    }
    [[nodiscard]] std::atomic<std::uint64_t>& place_of(sequence number) noexcept {
        return places_[index_of(number)];
    }

    std::vector<std::atomic<std::uint64_t>> places_;
};

} // namespace forkflow::nodes
