// SPDX-License-Identifier: MIT
#include <forkflow/nodes/word_guard.hpp>

namespace forkflow::nodes {

word_guard::word_guard(const rings& shared, const seat_table& seats, failure_shelf& failures)
    : shared_(shared)
    , seats_(seats)
    , failures_(failures)
    , committed_(shared.capacity()) {}

bool word_guard::is_sound(const state_word& word, sequence number) const noexcept {
    if (word.number != number) {
        return false;
    }
    switch (word.state) {
    case message_state::ready:
        return !word.has_heir() || seats_.expects(word.seat, word.incarnation);
    case message_state::claimed:
    case message_state::condemned:
        return word.seat == parent_seat || seats_.knows(word.seat, word.incarnation);
    case message_state::published:
    case message_state::failed:
    case message_state::marker:
        return true; // the collector sees whether there is something behind it
    case message_state::empty:
        break;
    }
    return false;
}

bool word_guard::is_wild(sequence number) const noexcept {
    const std::atomic<std::uint64_t>& state = shared_.state(number);
    const std::uint64_t bits = state.load(std::memory_order_seq_cst);
    return !is_sound(state_word::unpacked(bits), number) &&
           place_of(number).load(std::memory_order_acquire) == (committed_bit | number) && // else: not yet
           state.load(std::memory_order_seq_cst) == bits; // else it has moved on, and so may have its seat
}

void word_guard::mend(sequence number) {
    if (!is_wild(number)) {
        return;
    }
    failures_.put(number, wild_word(number));
    const state_word failed{.number = number, .state = message_state::failed};
    shared_.state(number).store(failed.packed(), std::memory_order_seq_cst);
}

failure word_guard::wild_word(sequence number) {
    return {.kind = failure_kind::not_decodable,
            .sequence = number,
            .what = "a worker has changed the state of this message"};
}

} // namespace forkflow::nodes
