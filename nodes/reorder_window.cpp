// SPDX-License-Identifier: MIT
#include <forkflow/nodes/reorder_window.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <algorithm>

namespace forkflow::nodes {

reorder_window::reorder_window(const rings& shared)
    : shared_(shared)
    , next_to_emit_(shared.first())
    , released_(shared.first()) {}

state_word reorder_window::word_of(sequence number) const {
    return state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst)); // (P), (D3)
}

/// What was not committed is no outcome, whatever a worker wrote; and a message is what it was committed as.
bool reorder_window::is_outcome(const state_word& word, sequence number) const {
    const message_state committed = shared_.commits().begun(number);
    if (word.number != number) {
        return false;
    }
    return committed == message_state::ready
               ? word.state == message_state::published || word.state == message_state::failed
               : committed != message_state::empty && word.state == committed;
}

std::optional<waiting_outcome> reorder_window::peek(std::uint32_t ahead) const {
    const sequence number = next_to_emit_.load(std::memory_order_relaxed) + ahead;
    const state_word word = word_of(number);
    if (!is_outcome(word, number)) {
        return std::nullopt;
    }
    waiting_outcome outcome{.number = number,
                            .state = word.state,
                            .attempts = word.attempt,
                            .payload = {},
                            .kind = result_kind::value,
                            .sound = true};
    if (word.state == message_state::published) {
        outcome.where = {.seat = word.seat,
                         .place = shared_.place_of(number).load(std::memory_order_relaxed)}; // (P)
        look_at_result(outcome);
    }
    return outcome;
}

/// What a worker can write at any time is copied once, and then checked.
void reorder_window::look_at_result(waiting_outcome& outcome) const {
    if (!shared_.has(outcome.where)) {
        outcome.sound = false;
        return;
    }
    const slot place = shared_.result(outcome.where);
    const slot_header header = place.header;
    std::atomic_signal_fence(std::memory_order_seq_cst); // so that nothing is fetched a second time
    outcome.payload = place.payload(header.length_bytes);
    outcome.kind = static_cast<result_kind>(header.kind);
    outcome.sound = header.number == outcome.number && outcome.payload.size() == header.length_bytes &&
                    header.kind <= static_cast<std::uint32_t>(result_kind::failure);
    if (!outcome.sound) { // it may be another message's
        outcome.payload = {};
    }
}

void reorder_window::release() {
    const sequence number = next_to_emit_.load(std::memory_order_relaxed);
    const state_word empty{.number = number};
    released_.store(number + 1, std::memory_order_relaxed);
    shared_.state(number).store(empty.packed(), std::memory_order_release); // the acquire in word_guard
    next_to_emit_.store(number + 1, std::memory_order_release); // the acquire load in next_to_emit
    // A worker goes by what is admitted, so only half of its places, at the most, may be free without its
    // knowing.
    if (++released_since_admission_ > std::min(shared_.window() / 4, (shared_.places() - 1) / 2)) {
        admit();
    }
}

void reorder_window::admit() {
    if (released_since_admission_ == 0) {
        return;
    }
    const std::uint64_t emitted =
        shared_.parent().emitted.load(std::memory_order_relaxed) + released_since_admission_;
    shared_.parent().emitted.store(emitted, std::memory_order_release); // the acquire load in worker::oldest
    released_since_admission_ = 0;
    const sequence admitted = next_to_emit_.load(std::memory_order_relaxed) + shared_.window() - 1;
    shared_.parent().admitted.store(admitted, std::memory_order_seq_cst); // (A), (D2)
    for_each_seat(shared_.blocked_seats(), shared_.seats(), [&](std::uint32_t seat) {
        // What the worker awaits was stored before it entered the set.
        if (!before(admitted, shared_.seat(seat).awaited.load(std::memory_order_acquire)) &&
            erase(shared_.blocked_seats(), seat)) {
            shared_.ring_seat(seat);
        }
        return true;
    });
}

bool reorder_window::arm() {
    admit();
    const sequence number = next_to_emit_.load(std::memory_order_relaxed);
    shared_.parent().armed.store(arm_bit | number,
                                 std::memory_order_seq_cst); // (D3): say so, then look again
    return !is_outcome(word_of(number), number); // else a ring that was given meanwhile is for nothing
}

void reorder_window::disarm() {
    if (shared_.parent().armed.load(std::memory_order_relaxed) != 0) {
        // Without a partner: a ring for nothing is harmless, and arm stores before it looks.
        shared_.parent().armed.store(0, std::memory_order_relaxed);
    }
}

void reorder_window::notify(sequence number) const {
    if (shared_.is_awaited(number)) {
        shared_.ring_parent();
    }
}

} // namespace forkflow::nodes
