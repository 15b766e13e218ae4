// SPDX-License-Identifier: MIT
// The relief desk: who is to be replaced although nothing is wrong with it, and by whom.
#pragma once

#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>

#include <chrono>
#include <optional>
#include <vector>

namespace forkflow::nodes {

/// A worker asks; it is given a relief as soon as a seat is spare; it goes once the relief is ready. Used by
/// the supervisor's thread.
class relief_desk {
public:
    using clock = std::chrono::steady_clock;

    relief_desk(const rings& shared, const seat_table& seats);

    /// Takes down who asks now.
    void take_requests();
    /// Whom to relieve next, if its time has come; it is then the caller's to start the relief, or to defer.
    [[nodiscard]] std::optional<std::uint32_t> next_due(clock::time_point now);
    /// When the next request is due that is not due yet; nothing, if there is none.
    [[nodiscard]] std::optional<clock::time_point> next_time() const;
    /// The worker in `seat` is to be relieved, but not before `when`.
    void defer(std::uint32_t seat, clock::time_point when);

    /// `relief` is being started to relieve whoever sits in `seat` now.
    void begin(std::uint32_t relief, std::uint32_t seat);
    /// `seat` is being filled for its own sake.
    void begin_plain(std::uint32_t seat) { shared_.order_for(seat).seat.store(parent_seat); }
    /// Which seat is to be spare once the worker in `relief` has taken over.
    [[nodiscard]] std::optional<std::uint32_t> relieved_by(std::uint32_t relief) const {
        return whom_[relief];
    }
    /// Who has been started to relieve the worker in `seat`.
    [[nodiscard]] std::optional<std::uint32_t> relief_of(std::uint32_t seat) const;
    /// The relief in `relief` has taken over, or has failed to.
    void end(std::uint32_t relief) { whom_[relief].reset(); }

private:
    struct request {
        worker_identity who;
        clock::time_point when;
    };
    [[nodiscard]] bool is_wanted(const worker_identity& who) const;
    void forget_those_not_wanted();
    void take_down(const request& asked);

    const rings& shared_;
    const seat_table& seats_;
    std::vector<std::optional<std::uint32_t>> whom_; ///< by the relief's seat
    std::vector<request> requests_; ///< at most one for each seat; there is room for them all
};

} // namespace forkflow::nodes
