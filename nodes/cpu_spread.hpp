// SPDX-License-Identifier: MIT
// Spreads a pool's workers over the CPUs: a worker that shares one with another moves to one without workers.
#pragma once

#include <forkflow/nodes/rings.hpp>

#include <sched.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace forkflow::nodes {

/// One worker's part of it. Used by that worker's thread alone.
///
/// The kernel counts runnable threads, not their use: two workers that compute on one CPU, and two threads of
/// the program that yield to each other on the other, look even to it. With bodies of 20 µs on two CPUs a run
/// in five was so for a tenth of a second or more, and took twice as long.
///
/// Workers note where they are (seat_block::whereabouts), between messages and about once in a period. Who
/// sees in two periods running that a worker in a lower seat is on its CPU, awake, has the kernel move it to
/// a CPU on which no worker is, if there is one, and may run everywhere again at once. What is older than a
/// few periods does not count: workers whose bodies take longer are left to the kernel.
class cpu_spread {
public:
    using clock = std::chrono::steady_clock;

    cpu_spread(const rings& shared, std::uint32_t seat) noexcept;

    /// Between two messages. Cost: a count; in one message per period, a clock and a look at each seat; where
    /// it moves, some 100 µs, once in ten periods at most.
    void between_messages() noexcept {
        if (++messages_ >= messages_between_looks_) {
            look();
        }
    }

    /// The decision alone: this worker is on `here` (1 + the CPU's number) at `now`. True: it had better be
    /// elsewhere.
    [[nodiscard]] bool note(std::uint32_t here, clock::time_point now) noexcept;
    /// Those of `allowed` on which no worker was seen a short time before `now`; nothing if there is none.
    [[nodiscard]] std::optional<cpu_set_t> without_workers(const cpu_set_t& allowed,
                                                           clock::time_point now) const noexcept;

private:
    void look() noexcept;
    void set_pace(clock::time_point now) noexcept;
    void move(clock::time_point now) noexcept;
    [[nodiscard]] std::optional<std::uint32_t> cpu_of(std::uint32_t seat,
                                                      clock::time_point now) const noexcept;

    const rings& shared_;
    std::uint32_t seat_;
    std::chrono::milliseconds period_; ///< longer where there are more seats to look at
    unsigned messages_ = 0;
    unsigned messages_between_looks_ = 1;
    clock::time_point last_look_{};
    clock::time_point stays_until_{}; ///< after a move
    bool shared_before_ = false;
};

} // namespace forkflow::nodes
