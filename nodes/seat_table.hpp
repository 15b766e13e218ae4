// SPDX-License-Identifier: MIT
// Who sits in each seat, as the parent knows it.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace forkflow::nodes {

/// A worker: a seat and which of those who sat there.
struct worker_identity {
    std::uint32_t seat;
    std::uint32_t incarnation;

    friend bool operator==(const worker_identity&, const worker_identity&) = default;
};

/// Changed by the supervisor's thread alone; the const members but `taken` are thread-safe.
class seat_table {
public:
    explicit seat_table(std::size_t seats)
        : places_(seats) {}

    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(places_.size()); }
    [[nodiscard]] bool taken(std::uint32_t seat) const noexcept { return places_[seat].taken; }
    [[nodiscard]] std::uint32_t incarnation(std::uint32_t seat) const noexcept {
        return places_[seat].incarnation.load(std::memory_order_seq_cst);
    }
    [[nodiscard]] worker_identity sitter(std::uint32_t seat) const noexcept {
        return {.seat = seat, .incarnation = incarnation(seat)};
    }
    /// Who will sit there once the seat is taken anew.
    [[nodiscard]] worker_identity next_sitter(std::uint32_t seat) const noexcept {
        return {.seat = seat, .incarnation = (incarnation(seat) + 1) & incarnation_mask};
    }
    /// True if a worker by this name lives, or has lived and its death is being dealt with.
    [[nodiscard]] bool knows(std::uint32_t seat, std::uint32_t who) const noexcept {
        return seat < size() && who == incarnation(seat);
    }
    /// True if this is what is said of a worker that lives or is the next to be started in its seat.
    [[nodiscard]] bool expects(std::uint32_t seat, std::uint32_t who) const noexcept {
        return knows(seat, who) || (seat < size() && who == next_sitter(seat).incarnation);
    }

    worker_identity take(std::uint32_t seat) {
        const worker_identity sitter = next_sitter(seat);
        places_[seat].incarnation.store(sitter.incarnation, std::memory_order_seq_cst);
        places_[seat].taken = true;
        return sitter;
    }
    void vacate(std::uint32_t seat) { places_[seat].taken = false; }

private:
    struct place {
        std::atomic<std::uint32_t> incarnation{0};
        bool taken = false;
    };
    std::vector<place> places_;
};

} // namespace forkflow::nodes
