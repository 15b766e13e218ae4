// SPDX-License-Identifier: MIT
#include <forkflow/nodes/attribution.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace forkflow::nodes {

std::string words_about(const host_event& death) {
    if (death.signal == 0) {
        return "the worker exited with status " + std::to_string(death.status);
    }
    const char* const words = ::sigdescr_np(death.signal); // null for those that have no name
    return "the worker was killed by signal " + std::to_string(death.signal) + " (" +
           (words != nullptr ? words : "real-time signal") + ")";
}

attribution::attribution(const rings& shared, unsigned attempts, const request_ring& requests,
                         const reorder_window& window, failure_shelf& failures)
    : shared_(shared)
    , attempts_(attempts)
    , requests_(requests)
    , window_(window)
    , failures_(failures) {}

attribution::settlement attribution::settle(const host_event& death, const worker_identity& heir,
                                            std::string_view reason) {
    settlement made;
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number != number || !word.names(death.seat, death.incarnation)) {
            continue;
        }
        if (word.owned()) { // its owner is reaped, so the word is nobody's but ours
            made.charged = true;
            made.inherited |= charge(word, death, heir, reason);
        } else if (word.has_heir()) {
            pass_on(word, heir);
            made.inherited = true;
        }
    }
    shared_.parent().reopened.fetch_add(1, std::memory_order_seq_cst); // (D1)
    return made;
}

bool attribution::charge(state_word word, const host_event& death, const worker_identity& heir,
                         std::string_view reason) {
    std::uint64_t expected = word.packed(); // nobody may change it; but another worker may be wild
    const bool again = word.attempt < attempts_ && !requests_.is_withdrawn(word.number);
    if (again) {
        retries_.fetch_add(1, std::memory_order_relaxed);
        ++word.attempt;
        word.state = message_state::ready;
        word.seat = heir.seat;
        word.incarnation = heir.incarnation;
    } else {
        failure outcome = cause_of(death, word.state == message_state::condemned, reason);
        outcome.attempts = word.attempt;
        failures_.put(word.number, std::move(outcome));
        word.state = message_state::failed;
    }
    shared_.state(word.number).compare_exchange_strong(expected, word.packed(), std::memory_order_seq_cst);
    return again;
}

void attribution::pass_on(const state_word& word, const worker_identity& heir) {
    state_word passed = word;
    passed.seat = heir.seat;
    passed.incarnation = heir.incarnation;
    std::uint64_t expected = word.packed(); // the parent may be withdrawing it
    shared_.state(word.number).compare_exchange_strong(expected, passed.packed(), std::memory_order_seq_cst);
}

void attribution::fail_all(const failure& reason) {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.owned() && word.seat != parent_seat) {
            failure lost = told([&] { return reason; });
            lost.attempts = word.attempt;
            failures_.put(number, std::move(lost));
            word.state = message_state::failed;
            shared_.state(number).store(word.packed(), std::memory_order_seq_cst);
        }
    }
}

failure attribution::cause_of(const host_event& death, bool timed_out,
                              std::string_view reason) const noexcept {
    failure cause{.kind = timed_out ? failure_kind::timed_out : failure_kind::crashed,
                  .pid = death.pid,
                  .signal = death.signal,
                  .status = death.status,
                  .peak_memory_kib = death.peak_memory_kib};
    try {
        tell_of(death, timed_out ? "the deadline passed and the worker was killed" : reason, cause);
    } catch (...) { // no memory
        if (cause.what.empty()) {
            cause.what = no_words;
        }
    }
    return cause;
}

void attribution::tell_of(const host_event& death, std::string_view reason, failure& cause) const {
    cause.what = reason.empty() ? words_about(death) : std::string(reason);
    cause.stderr_tail = death.stderr_tail;
    const last_words& words = shared_.words_of(death.seat);
    const std::size_t frames =
        std::min<std::size_t>(words.frame_count.load(std::memory_order_acquire), max_stack_frames);
    constexpr std::size_t handler_frames = 2; // the handler and what the kernel returns to
    if (frames > handler_frames) {
        cause.stack_trace.frames.assign(words.frames + handler_frames, words.frames + frames);
        cut_engine_frames(cause.stack_trace, std::min<std::size_t>(words.engine_frames, max_stack_frames));
    }
}

std::string attribution::last_text(const host_event& death) const {
    const last_words& words = shared_.words_of(death.seat);
    const std::size_t size =
        std::min<std::size_t>(words.text_bytes, sizeof words.text); // copied once, then used
    if (size > 0) {
        return {words.text, size};
    }
    const auto stage =
        static_cast<worker_stage>(shared_.seat(death.seat).stage.load(std::memory_order_relaxed));
    return words_about(death) + (stage == worker_stage::initialising ? " in worker_init" : "") +
           (death.stderr_tail.empty() ? "" : "; it wrote: " + death.stderr_tail);
}

} // namespace forkflow::nodes
