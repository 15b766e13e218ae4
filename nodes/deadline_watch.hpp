// SPDX-License-Identifier: MIT
// The watch on deadlines: which worker runs too long, or stands still, and when to look again.
#pragma once

#include <forkflow/nodes/request_ring.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <atomic>
#include <chrono>
#include <optional>

namespace forkflow::nodes {

/// Used by the supervisor's thread, but for message_committed. Without a deadline it does nothing and costs
/// nothing; with one, the supervisor wakes about once per deadline while messages are in flight, and not at
/// all while none is.
///
/// A body whose clock has run out is condemned. A worker can also stand still with its clock stopped, if
/// somebody stops its process between two steps; that shows in the next message to emit, which then does not
/// move: after one deadline everybody is rung, after two its owner (or, if nobody took it, who should have)
/// is killed.
class deadline_watch {
public:
    deadline_watch(const rings& shared, std::chrono::nanoseconds deadline, const request_ring& requests,
                   const reorder_window& window, const seat_table& seats, worker_host& host);

    /// Condemns what is overdue, and kills. Returns for how long nothing can become overdue, in nanoseconds;
    /// -1: until message_committed.
    [[nodiscard]] std::int64_t look();
    /// Wakes the supervisor if it sleeps without a limit. Thread-safe.
    void message_committed();

private:
    [[nodiscard]] bool idle() const;
    [[nodiscard]] bool is_ready(std::uint32_t seat) const;
    [[nodiscard]] std::optional<sequence> claimed_by(const worker_identity& who) const;
    [[nodiscard]] std::int64_t condemn_overdue(std::int64_t now_ns);
    void condemn(sequence number);
    void watch_head(std::int64_t now_ns);
    void kill_who_stands_still(const state_word& head);

    const rings& shared_;
    const std::chrono::nanoseconds deadline_;
    const request_ring& requests_;
    const reorder_window& window_;
    const seat_table& seats_;
    worker_host& host_;
    std::atomic<bool> asleep_{false};
    std::uint64_t head_bits_ = 0; ///< the state word of the next message to emit, when last looked at
    std::int64_t head_since_ns_ = 0;
    bool head_rung_ = false;
};

} // namespace forkflow::nodes
