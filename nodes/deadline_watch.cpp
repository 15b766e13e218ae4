// SPDX-License-Identifier: MIT
#include <forkflow/nodes/deadline_watch.hpp>

#include <algorithm>

namespace forkflow::nodes {

deadline_watch::deadline_watch(const rings& shared, std::chrono::nanoseconds deadline,
                               const request_ring& requests, const reorder_window& window,
                               const seat_table& seats, worker_host& host)
    : shared_(shared)
    , deadline_(deadline)
    , requests_(requests)
    , window_(window)
    , seats_(seats)
    , host_(host) {}

std::int64_t deadline_watch::look() {
    if (deadline_.count() == 0) {
        return -1;
    }
    asleep_.store(true,
                  std::memory_order_seq_cst); // say so, then look again; the partner is message_committed
    if (idle()) {
        return -1;
    }
    asleep_.store(false, std::memory_order_relaxed);
    const std::int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch())
                                 .count();
    const std::int64_t patience = condemn_overdue(now);
    watch_head(now);
    return patience;
}

std::int64_t deadline_watch::condemn_overdue(std::int64_t now_ns) {
    std::int64_t patience = deadline_.count(); // who starts after this look is not overdue before that
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        const std::int64_t since = shared_.seat(seat).running_since_ns.load(std::memory_order_acquire);
        if (since == 0) {
            continue;
        }
        const std::int64_t left = since + deadline_.count() - now_ns;
        if (left > 0) {
            patience = std::min(patience, left);
            continue;
        }
        const std::optional<sequence> number = claimed_by(seats_.sitter(seat));
        // Unchanged: the claim that was found is the one that began then, and not its successor's.
        if (number && shared_.seat(seat).running_since_ns.load(std::memory_order_acquire) == since) {
            condemn(*number);
        }
    }
    return std::max<std::int64_t>(patience, 1);
}

void deadline_watch::condemn(sequence number) {
    std::uint64_t bits = shared_.state(number).load(std::memory_order_seq_cst);
    state_word word = state_word::unpacked(bits);
    if (word.number != number || word.state != message_state::claimed) {
        return;
    }
    word.state = message_state::condemned;
    // Against the publication: whichever comes first counts.
    if (shared_.state(number).compare_exchange_strong(bits, word.packed(), std::memory_order_seq_cst)) {
        host_.kill(word.seat, word.incarnation);
    }
}

void deadline_watch::watch_head(std::int64_t now_ns) {
    const std::uint64_t bits = shared_.state(window_.next_to_emit()).load(std::memory_order_seq_cst);
    const state_word head = state_word::unpacked(bits);
    const bool clock_runs = head.owned() && head.seat < seats_.size() &&
                            shared_.seat(head.seat).running_since_ns.load(std::memory_order_relaxed) != 0;
    if (bits != head_bits_ || clock_runs) {
        head_bits_ = bits;
        head_since_ns_ = now_ns;
        head_rung_ = false;
    } else if (now_ns - head_since_ns_ >= 2 * deadline_.count() && head_rung_) {
        kill_who_stands_still(head);
    } else if (now_ns - head_since_ns_ >= deadline_.count()) {
        shared_.ring_all_seats(); // a ring may have been spent on a worker that is stopped
        head_rung_ = true;
        head_since_ns_ = now_ns - deadline_.count(); // who was rung has another deadline's time
    }
}

void deadline_watch::kill_who_stands_still(const state_word& head) {
    if (head.number != window_.next_to_emit()) {
        return; // reserved, and not committed yet: nobody's fault
    }
    if (head.state == message_state::claimed) {
        condemn(head.number);
        return;
    }
    if (head.state != message_state::ready) {
        return;
    }
    // Nobody claims it. Who is at work on something else will come to it.
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (claimed_by(seats_.sitter(seat))) {
            return;
        }
    }
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (is_ready(seat) && (!head.has_heir() || head.seat == seat)) {
            host_.kill(seat, seats_.incarnation(seat));
        }
    }
}

bool deadline_watch::is_ready(std::uint32_t seat) const {
    return seats_.taken(seat) && shared_.seat(seat).stage.load(std::memory_order_relaxed) ==
                                     static_cast<std::uint32_t>(worker_stage::ready);
}

void deadline_watch::message_committed() {
    if (deadline_.count() > 0 && asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) {
        host_.interrupt();
    }
}

bool deadline_watch::idle() const {
    return requests_.next() == window_.next_to_emit();
}

std::optional<sequence> deadline_watch::claimed_by(const worker_identity& who) const {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.owned() && word.names(who.seat, who.incarnation)) {
            return number;
        }
    }
    return std::nullopt;
}

} // namespace forkflow::nodes
