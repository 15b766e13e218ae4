// SPDX-License-Identifier: MIT
#include <forkflow/nodes/deadline_watch.hpp>
#include <forkflow/nodes/monotonic_clock.hpp>

#include <algorithm>

namespace forkflow::nodes {
namespace {

/// Without deadlines, so long the next message to emit may stand still until it is looked at a first time.
constexpr std::int64_t first_look_ns = 1'000'000'000;

} // namespace

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
    stands_still_ = false;
    if (falls_asleep([this] { return requests_.next() == window_.next_to_emit(); })) {
        return -1;
    }
    const std::int64_t now = monotonic_ns();
    if (deadline_.count() == 0) {
        return watch_head_patiently(head(), now);
    }
    const std::int64_t patience = condemn_overdue(now);
    const state_word next = head();
    if (next.unfinished()) {
        watch_head(next, now);
        return patience;
    }
    const std::int64_t left = watch_head_patiently(next, now);
    // While messages leave, each look would find something new, for which a commit would have woken it.
    const bool stands = left > deadline_.count();
    return stands && falls_asleep([this] { return none_waits_or_runs(); }) ? left : patience;
}

template <class Quiet>
bool deadline_watch::falls_asleep(Quiet quiet) {
    asleep_.store(true,
                  std::memory_order_seq_cst); // say so, then look again; the partner is message_committed
    if (!quiet()) {
        asleep_.store(false, std::memory_order_relaxed);
        return false;
    }
    return true;
}

state_word deadline_watch::head() const {
    return state_word::unpacked(shared_.state(window_.next_to_emit()).load(std::memory_order_seq_cst));
}

std::int64_t deadline_watch::condemn_overdue(std::int64_t now_ns) {
    std::int64_t patience = deadline_.count(); // who starts after this look is not overdue before that
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        const std::int64_t since = shared_.seat(seat).running_since_ns.load(std::memory_order_acquire);
        if (since == 0) {
            continue;
        }
        // A clock that has begun before there were clocks, or will begin, was set by a wild worker.
        const bool possible = since > 0 && since <= monotonic_ns();
        const std::int64_t used = possible ? now_ns - since : deadline_.count(); // may be below 0
        if (used < deadline_.count()) {
            patience = std::min(patience, deadline_.count() - used);
            continue;
        }
        const std::optional<sequence> number = claimed_by(seats_.sitter(seat));
        // Unchanged: the claim that was found is the one that began then, and not its successor's.
        if (shared_.seat(seat).running_since_ns.load(std::memory_order_acquire) != since) {
            continue;
        }
        if (number) {
            condemn(*number);
        } else if (seats_.taken(seat)) { // it runs something, and its claim is not what it was
            host_.kill(seat, seats_.incarnation(seat));
        }
    }
    return std::max<std::int64_t>(patience, 1);
}

void deadline_watch::condemn_before(sequence end) {
    for (sequence number = window_.next_to_emit(); before(number, end); ++number) {
        condemn(number);
    }
}

void deadline_watch::condemn(sequence number) {
    std::uint64_t bits = shared_.state(number).load(std::memory_order_seq_cst);
    state_word word = state_word::unpacked(bits);
    if (word.number != number || word.state != message_state::claimed || word.seat == parent_seat) {
        return;
    }
    word.state = message_state::condemned;
    // Against the publication: whichever comes first counts.
    if (shared_.state(number).compare_exchange_strong(bits, word.packed(), std::memory_order_seq_cst)) {
        host_.kill(word.seat, word.incarnation);
    }
}

void deadline_watch::watch_head(const state_word& head, std::int64_t now_ns) {
    const bool clock_runs = head.owned() && head.seat < seats_.size() &&
                            shared_.seat(head.seat).running_since_ns.load(std::memory_order_relaxed) != 0;
    if (head.packed() != head_bits_ || clock_runs) {
        head_bits_ = head.packed();
        head_since_ns_ = now_ns;
        head_rung_ = false;
    } else if (now_ns - head_since_ns_ >= 2 * deadline_.count() && head_rung_) {
        kill_who_stands_still(head);
    } else if (now_ns - head_since_ns_ >= deadline_.count()) {
        nudge(head);
        shared_.ring_all_seats(); // a ring may have been spent on a worker that is stopped
        head_rung_ = true;
        head_since_ns_ = now_ns - deadline_.count(); // who was rung has another deadline's time
    }
}

std::int64_t deadline_watch::watch_head_patiently(const state_word& head, std::int64_t now_ns) {
    if (head.packed() != head_bits_) {
        head_bits_ = head.packed();
        head_since_ns_ = now_ns;
        next_look_ns_ = deadline_.count() > 0 ? deadline_.count() : first_look_ns;
    } else if (now_ns - head_since_ns_ >= next_look_ns_) {
        nudge(head);
        if (next_look_ns_ > first_look_ns && head.state == message_state::ready) {
            kill_who_stands_still(head); // all were woken for it, and nobody came
        }
        next_look_ns_ *= 2;
    }
    return std::max<std::int64_t>(head_since_ns_ + next_look_ns_ - now_ns, 1);
}

void deadline_watch::nudge(state_word head) {
    stands_still_ = true;
    if (head.number != window_.next_to_emit()) {
        return;
    }
    if (head.owned() && head.seat != parent_seat && !lives(head.seat, head.incarnation)) {
        // Its owner's death was settled before it became the owner: only a wild worker can have written this.
        std::uint64_t expected = head.packed();
        head.state = message_state::ready;
        shared_.state(head.number)
            .compare_exchange_strong(expected, head.packed(), std::memory_order_seq_cst);
    }
    if (head.state == message_state::condemned ||
        (head.state == message_state::claimed && owns_another(head))) {
        host_.kill(head.seat, head.incarnation);
    } else if (!head.unfinished()) {
        shared_.ring_parent();
    } else if (head.state == message_state::ready) {
        shared_.parent().reopened.fetch_add(1, std::memory_order_seq_cst); // (D1)
        shared_.ring_all_seats();
    } else if (head.state == message_state::claimed && head.seat < seats_.size()) {
        shared_.parent().reopened.fetch_add(1, std::memory_order_seq_cst); // (D1)
        shared_.ring_seat(head.seat);
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
        nudge(head);
        return;
    }
    // Nobody claims it. Who is at work on something else will come to it; but not if what it does then waits
    // for this message to leave.
    const sequence admitted = shared_.parent().admitted.load(std::memory_order_relaxed);
    if (shared_.next_to_emit() != head.number) {
        return; // the collector is away; a worker without a place goes by what it admits when it is back
    }
    const auto may_claim = [&](std::uint32_t seat) {
        return !head.has_heir() || head.names(seat, seats_.incarnation(seat));
    };
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        const std::optional<sequence> at_work = claimed_by(seats_.sitter(seat));
        if (at_work && !before(admitted, *at_work) && may_claim(seat)) {
            return;
        }
    }
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (is_ready(seat) && may_claim(seat)) {
            host_.kill(seat, seats_.incarnation(seat));
        }
    }
}

bool deadline_watch::lives(std::uint32_t seat, std::uint32_t incarnation) const {
    return seats_.knows(seat, incarnation) && seats_.taken(seat);
}

bool deadline_watch::is_ready(std::uint32_t seat) const {
    const auto stage = static_cast<worker_stage>(shared_.seat(seat).stage.load(std::memory_order_relaxed));
    return seats_.taken(seat) && stage != worker_stage::starting && stage != worker_stage::initialising;
}

void deadline_watch::message_committed() {
    if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) {
        host_.interrupt();
    }
}

bool deadline_watch::none_waits_or_runs() const {
    const request_ring::census inside = requests_.count();
    return inside.waiting + inside.running == 0;
}

/// No worker has two messages; so one of the two words was written by a wild one.
bool deadline_watch::owns_another(const state_word& claim) const {
    for (sequence number = claim.number + 1; before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.owned() && word.names(claim.seat, claim.incarnation)) {
            return true;
        }
    }
    return false;
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
