// SPDX-License-Identifier: MIT
#include <forkflow/nodes/word_guard.hpp>

namespace forkflow::nodes {

word_guard::word_guard(const rings& shared, const seat_table& seats, failure_shelf& failures)
    : shared_(shared)
    , seats_(seats)
    , failures_(failures) {}

bool word_guard::is_sound(const state_word& word, const state_word& committed) const noexcept {
    if (committed.state != message_state::ready) { // the parent's word is the last
        return word == committed;
    }
    if (word.number != committed.number) {
        return false;
    }
    switch (word.state) {
    case message_state::ready:
        return !word.has_heir() || seats_.expects(word.seat, word.incarnation);
    case message_state::claimed:
        // The parent's claims are short: if none is under way any more, the word has changed by now.
        return word.seat == parent_seat ? parent_claims_.load(std::memory_order_seq_cst) > 0
                                        : seats_.knows(word.seat, word.incarnation);
    case message_state::condemned:
        return seats_.knows(word.seat, word.incarnation);
    case message_state::published:
    case message_state::failed:
        return true; // the collector sees whether there is something behind it
    case message_state::marker:
    case message_state::empty:
        break;
    }
    return false;
}

std::optional<word_guard::finding> word_guard::look_at(sequence number) const noexcept {
    const std::atomic<std::uint64_t>& state = shared_.state(number);
    const std::uint64_t bits = state.load(std::memory_order_seq_cst);
    const state_word committed{.number = number, .state = shared_.commits().ended(number)};
    if (committed.state == message_state::empty || is_sound(state_word::unpacked(bits), committed) ||
        state.load(std::memory_order_seq_cst) != bits) {
        return std::nullopt; // not committed yet; or sound; or it has moved on, and so may have its seat
    }
    return finding{.bits = bits, .committed = committed};
}

bool word_guard::is_wild(sequence number) const noexcept {
    return look_at(number).has_value();
}

void word_guard::mend(sequence number) {
    std::optional<finding> wild = look_at(number);
    if (!wild) {
        return;
    }
    if (wild->committed.state == message_state::ready) {
        failures_.put(number, wild_word(number));
        wild->committed.state = message_state::failed;
    }
    shared_.state(number).compare_exchange_strong(wild->bits, wild->committed.packed(),
                                                  std::memory_order_seq_cst);
}

failure word_guard::wild_word(sequence number) noexcept {
    failure wild = told([] {
        return failure{.kind = failure_kind::not_decodable,
                       .what = "a worker has changed the state of this message"};
    });
    wild.sequence = number;
    return wild;
}

} // namespace forkflow::nodes
