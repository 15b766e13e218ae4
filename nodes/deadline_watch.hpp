// SPDX-License-Identifier: MIT
// The watch on deadlines: which worker runs too long, and when to look again.
#pragma once

#include <forkflow/nodes/request_ring.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

namespace forkflow::nodes {

/// Used by the supervisor's thread, but for message_committed. Without a deadline it does nothing and costs
/// nothing; with one, the supervisor wakes about once per deadline while messages are in flight, and not at
/// all while none is.
class deadline_watch {
public:
    deadline_watch(const rings& shared, std::chrono::nanoseconds deadline, const request_ring& requests,
                   const reorder_window& window, worker_host& host);

    /// Kills the workers that are overdue. `incarnations`: who sits in each seat. Returns for how long nobody
    /// can become overdue, in nanoseconds; -1: until message_committed.
    [[nodiscard]] std::int64_t kill_overdue(const std::vector<std::uint32_t>& incarnations);
    /// Which message the worker in `seat`, now dead, was killed for; forgets it.
    [[nodiscard]] std::optional<sequence> take_victim(std::uint32_t seat);
    /// Wakes the supervisor if it sleeps without a limit. Thread-safe.
    void message_committed();

private:
    [[nodiscard]] bool idle() const;
    [[nodiscard]] std::optional<sequence> claimed_by(std::uint32_t seat, std::uint32_t incarnation) const;

    const rings& shared_;
    const std::chrono::nanoseconds deadline_;
    const request_ring& requests_;
    const reorder_window& window_;
    worker_host& host_;
    std::vector<std::optional<sequence>> victims_; ///< by seat
    std::atomic<bool> asleep_{false};
};

} // namespace forkflow::nodes
