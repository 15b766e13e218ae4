// SPDX-License-Identifier: MIT
#include <forkflow/nodes/deadline_watch.hpp>

#include <algorithm>
#include <utility>

namespace forkflow::nodes {

deadline_watch::deadline_watch(const rings& shared, std::chrono::nanoseconds deadline,
                               const request_ring& requests, const reorder_window& window, worker_host& host)
    : shared_(shared)
    , deadline_(deadline)
    , requests_(requests)
    , window_(window)
    , host_(host)
    , victims_(shared.workers()) {}

std::int64_t deadline_watch::kill_overdue(const std::vector<std::uint32_t>& incarnations) {
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
    std::int64_t patience = deadline_.count(); // who starts after this look is not overdue before that
    for (std::uint32_t seat = 0; seat < shared_.workers(); ++seat) {
        const std::int64_t since = shared_.seat(seat).running_since_ns.load(std::memory_order_acquire);
        if (since == 0 || victims_[seat]) {
            continue;
        }
        const std::int64_t left = since + deadline_.count() - now;
        if (left > 0) {
            patience = std::min(patience, left);
            continue;
        }
        const std::optional<sequence> number = claimed_by(seat, incarnations[seat]);
        // Unchanged: the claim that was found is the one that began then, and not its successor's.
        if (number && shared_.seat(seat).running_since_ns.load(std::memory_order_acquire) == since) {
            victims_[seat] = number;
            host_.kill(seat, incarnations[seat]);
        }
    }
    return std::max<std::int64_t>(patience, 1);
}

std::optional<sequence> deadline_watch::take_victim(std::uint32_t seat) {
    return std::exchange(victims_[seat], std::nullopt);
}

void deadline_watch::message_committed() {
    if (deadline_.count() > 0 && asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) {
        host_.interrupt();
    }
}

bool deadline_watch::idle() const {
    return requests_.next() == window_.next_to_emit();
}

std::optional<sequence> deadline_watch::claimed_by(std::uint32_t seat, std::uint32_t incarnation) const {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.state == message_state::claimed && word.seat == seat &&
            word.incarnation == incarnation) {
            return number;
        }
    }
    return std::nullopt;
}

} // namespace forkflow::nodes
