// SPDX-License-Identifier: MIT
// The supervisor: learns of deaths, charges each to the message that the worker was running, and replaces
// workers.
#pragma once

#include <forkflow/nodes/deadline_watch.hpp>
#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/request_ring.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace forkflow::nodes {

/// Runs on a thread of its own and sleeps until its host tells something (or a deadline may pass). The only
/// one who takes a claim away from a worker, and only after the host has said that the worker is reaped. The
/// counters are thread-safe.
class supervisor {
public:
    supervisor(const rings& shared, const pool_options& options, request_ring& requests,
               const reorder_window& window, failure_shelf& failures, worker_host& host);

    /// Starts a worker in each seat and tends them until the host is closed.
    void run();
    /// From now on deaths are expected. Thread-safe.
    void stop() noexcept { stopping_.store(true); }
    /// To be called after a commit: the watch on deadlines may be asleep. Thread-safe; free without
    /// deadlines.
    void message_committed() { watch_.message_committed(); }

    [[nodiscard]] std::uint64_t deaths() const noexcept { return deaths_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t retries() const noexcept { return retries_.load(std::memory_order_relaxed); }

private:
    void fill(std::uint32_t seat);
    /// Returns after how many nanoseconds the next vacant seat is due; 0: none is vacant.
    std::int64_t fill_vacant_seats();
    void leave_vacant(std::uint32_t seat, const std::string& why);
    bool any_ready();
    void bury(const host_event& death);
    void bury_all(const failure& reason);
    void charge(const host_event& death, std::optional<sequence> victim);
    template <class Cause>
    void settle(state_word word, bool innocent, Cause cause);
    [[nodiscard]] failure cause_of(const host_event& death, bool timed_out) const;
    [[nodiscard]] std::string last_text(const host_event& death) const;

    void pass_wakes_on() const;

    const rings& shared_;
    const pool_options& options_;
    request_ring& requests_;
    const reorder_window& window_;
    failure_shelf& failures_;
    worker_host& host_;
    deadline_watch watch_;
    std::vector<std::uint32_t> incarnations_; ///< of each seat
    struct vacancy {
        std::uint32_t seat;
        std::chrono::steady_clock::time_point until;
    };
    std::deque<vacancy>
        vacant_; ///< seats whose worker could not be made, or died before it looked for a message
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> deaths_{0};
    std::atomic<std::uint64_t> retries_{0};
    unsigned barren_deaths_ =
        0; ///< of workers that never came to look for a message, since one was seen that did
};

} // namespace forkflow::nodes
