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

/// Used by the supervisor's thread, but for message_committed. With a deadline the supervisor wakes about
/// once per deadline while messages wait or run, and not at all while none is in flight.
///
/// It looks at a message to emit that stands still though it has its outcome after one deadline, after two,
/// after four, and so on; without a deadline at any that stands still, after one second, after two, and so
/// on. It wakes who seems to be at work on it, lets all workers look from the oldest message on if nobody is,
/// and the parent if it is done: so that no wild worker that wrote over lists of sleepers, or gave a message
/// to somebody who is not at work on it, has lost a wake for good.
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
    /// Condemns every message below `end` that is claimed, overdue or not, and kills.
    void condemn_before(sequence end);
    /// True if the last look found that the next message to emit stands still.
    [[nodiscard]] bool stands_still() const noexcept { return stands_still_; }
    /// Wakes the supervisor if it sleeps for longer than a deadline. Thread-safe.
    void message_committed();

private:
    /// True if `quiet()` holds: then message_committed wakes the supervisor.
    template <class Quiet>
    [[nodiscard]] bool falls_asleep(Quiet quiet);
    /// The word of the next message to emit; of an earlier one as long as that is not committed.
    [[nodiscard]] state_word head() const;
    [[nodiscard]] bool none_waits_or_runs() const;
    [[nodiscard]] bool is_ready(std::uint32_t seat) const;
    [[nodiscard]] bool lives(std::uint32_t seat, std::uint32_t incarnation) const;
    [[nodiscard]] std::optional<sequence> claimed_by(const worker_identity& who) const;
    [[nodiscard]] bool owns_another(const state_word& claim) const;
    [[nodiscard]] std::int64_t condemn_overdue(std::int64_t now_ns);
    void condemn(sequence number);
    void watch_head(const state_word& head, std::int64_t now_ns);
    /// Returns when it will look closer.
    [[nodiscard]] std::int64_t watch_head_patiently(const state_word& head, std::int64_t now_ns);
    /// Makes good what a wake that was lost would have done.
    void nudge(state_word head);
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
    bool stands_still_ = false;
    std::int64_t next_look_ns_ = 0; ///< after so long at the same head
    bool head_rung_ = false;
};

} // namespace forkflow::nodes
