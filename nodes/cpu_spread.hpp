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
/// in six was so for a tenth of a second or more, and took twice as long.
///
/// Workers note where they are (seat_block::whereabouts), between messages and about once in a period. Who
/// sees in two periods that a worker in a lower seat, awake, has noted its own CPU has the kernel move it to
/// a CPU on which no worker is, if there is one, and may run everywhere again at once. A note that is older
/// than a few periods shows nothing: workers whose bodies take longer are left to the kernel. A worker counts
/// as awake while its body waits for something, as nobody can tell.
class cpu_spread {
public:
    using clock = std::chrono::steady_clock;

    cpu_spread(const rings& shared, std::uint32_t seat) noexcept;

    /// Whether this thread may ask for other CPUs: false with a seccomp filter, which may kill it for that.
    [[nodiscard]] static bool is_possible() noexcept;

    /// Between two messages. Cost: a count; in one message per period, or in 64 per millisecond, a clock and
    /// a look at each seat. Where it moves, once in ten periods at most, some 100 µs, or until it gets its
    /// turn on a CPU that others keep busy. An affinity that somebody else sets for this thread meanwhile is
    /// lost.
    void between_messages() noexcept {
        if (++messages_ >= messages_between_looks_) {
            look();
        }
    }

    /// The decision alone: this worker is on `here` (1 + the CPU's number) at `now`. True: it is to move.
    [[nodiscard]] bool note(std::uint32_t here, clock::time_point now) noexcept;
    /// Those of `allowed` on which no worker of the pool and, if that leaves any, not the collector either
    /// was seen; nothing if there is none.
    [[nodiscard]] std::optional<cpu_set_t> free_of_workers(const cpu_set_t& allowed) const noexcept;
    /// After how many messages to look again, if `messages` took `took`.
    [[nodiscard]] static unsigned pace(unsigned messages, clock::duration took,
                                       std::chrono::milliseconds period) noexcept;

private:
    /// That the worker in `seat` was on this worker's CPU, as it noted in `word`.
    struct sighting {
        std::uint32_t seat;
        std::uint64_t word;
        clock::time_point at;
    };

    void look() noexcept;
    [[nodiscard]] std::optional<sighting> who_shares(std::uint32_t here,
                                                     clock::time_point now) const noexcept;
    [[nodiscard]] bool is_awake(std::uint32_t seat) const noexcept;
    void move() noexcept;
    void widen() noexcept;

    const rings& shared_;
    std::uint32_t seat_;
    std::chrono::milliseconds period_; ///< longer where there are more seats to look at
    unsigned messages_ = 0;
    unsigned messages_between_looks_ = 1;
    clock::time_point last_look_{};
    clock::time_point stays_until_{}; ///< after a move
    std::optional<sighting> seen_;
    std::optional<cpu_set_t> narrowed_; ///< while it may not run everywhere: where it might before
    bool restricted_ = false;           ///< to fewer CPUs than there are for this process
};

} // namespace forkflow::nodes
