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

/// A seat is spare, vacant (somebody is to sit there again) or taken. Changed by the supervisor's thread
/// alone; the const members are thread-safe: what they tell of a seat was true at one moment.
class seat_table {
public:
    explicit seat_table(std::size_t seats)
        : places_(seats) {}

    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(places_.size()); }
    [[nodiscard]] bool taken(std::uint32_t seat) const noexcept { return look(seat).use == usage::taken; }
    [[nodiscard]] bool spare(std::uint32_t seat) const noexcept { return look(seat).use == usage::spare; }
    [[nodiscard]] std::uint32_t incarnation(std::uint32_t seat) const noexcept {
        return look(seat).incarnation;
    }
    /// Who sits there, or sat there last.
    [[nodiscard]] worker_identity sitter(std::uint32_t seat) const noexcept {
        return {.seat = seat, .incarnation = incarnation(seat)};
    }
    /// Who will sit there once the seat is taken anew.
    [[nodiscard]] worker_identity next_sitter(std::uint32_t seat) const noexcept {
        return {.seat = seat, .incarnation = after(incarnation(seat))};
    }
    /// True if a worker by this name lives, or its death is being dealt with.
    [[nodiscard]] bool knows(std::uint32_t seat, std::uint32_t who) const noexcept {
        if (seat >= size()) {
            return false;
        }
        const place now = look(seat);
        return now.use != usage::spare && now.incarnation == who;
    }
    /// True if a worker by this name lives, or is to be started next in its seat.
    [[nodiscard]] bool expects(std::uint32_t seat, std::uint32_t who) const noexcept {
        if (seat >= size()) {
            return false;
        }
        const place now = look(seat);
        return now.use == usage::taken ? now.incarnation == who
                                       : now.use == usage::vacant && after(now.incarnation) == who;
    }

    worker_identity take(std::uint32_t seat) {
        const worker_identity sitter = next_sitter(seat);
        set(seat, {.use = usage::taken, .incarnation = sitter.incarnation});
        return sitter;
    }
    void vacate(std::uint32_t seat) { set(seat, {.use = usage::vacant, .incarnation = incarnation(seat)}); }
    void make_spare(std::uint32_t seat) {
        set(seat, {.use = usage::spare, .incarnation = incarnation(seat)});
    }

private:
    enum class usage : std::uint32_t { spare, vacant, taken };
    struct alignas(std::uint64_t) place { // in one step, also with clang
        usage use = usage::spare;
        std::uint32_t incarnation = 0;
    };
    static_assert(std::atomic<place>::is_always_lock_free);

    static std::uint32_t after(std::uint32_t incarnation) noexcept {
        return (incarnation + 1) & incarnation_mask;
    }
    [[nodiscard]] place look(std::uint32_t seat) const noexcept {
        return places_[seat].load(std::memory_order_seq_cst);
    }
    void set(std::uint32_t seat, place now) { places_[seat].store(now, std::memory_order_seq_cst); }

    std::vector<std::atomic<place>> places_;
};

} // namespace forkflow::nodes
