// SPDX-License-Identifier: MIT
// How the collector gives way to others while it looks for an outcome.
#pragma once

#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace forkflow::nodes {

/// Gives way between two looks of one wait: to whoever is runnable, or, once it has looked for some time in
/// vain while there are workers for all CPUs, by sleeping for a moment.
///
/// Who yields stays where it is. Two threads that yield to each other, as the collector and another of
/// oneTBB's that looks for tasks, may keep a CPU that way while all workers share the others; to the
/// scheduler that looks even. So it was in a third of all runs with bodies of 20 µs, which took twice as long
/// then. Who sleeps leaves its CPU to a worker.
class giving_way {
public:
    /// `cpus`: that this process may use. `moment`: how long it sleeps; the kernel's timers may add as much.
    giving_way(const rings& shared, std::size_t cpus, std::chrono::nanoseconds moment) noexcept
        : shared_(shared)
        , cpus_(cpus)
        , moment_(moment) {}

    /// `inside`: how many messages are. True if it slept. Cost: from the ninth look on, one at who sleeps
    /// among the workers.
    bool operator()(std::size_t inside) {
        using clock = std::chrono::steady_clock;
        if (looks_++ == 0) {
            since_ = clock::now();
        }
        if (looks_ > few_looks && clock::now() - since_ > short_time && workers_want_all_cpus(inside)) {
            std::this_thread::sleep_for(moment_);
            looks_ = 0;
            return true;
        }
        std::this_thread::yield();
        return false;
    }

private:
    // More than where outcomes come one after the other and the collector is alone on its CPU.
    static constexpr unsigned few_looks = 8;
    static constexpr std::chrono::microseconds short_time{10};
    // So many for each worker must be inside, or they might run out of them meanwhile.
    static constexpr std::size_t enough_inside = 4;

    /// Whether as many workers as there are CPUs do not sleep: they compute, look for work, or are kept from
    /// it by us; or their bodies wait for something else, which nobody can tell.
    [[nodiscard]] bool workers_want_all_cpus(std::size_t inside) const noexcept {
        if (inside < enough_inside * shared_.workers()) {
            return false;
        }
        std::size_t asleep = 0;
        const auto count = [&asleep](std::uint32_t) {
            ++asleep;
            return true;
        };
        for_each_seat(shared_.idle_seats(), shared_.seats(), count);
        for_each_seat(shared_.blocked_seats(), shared_.seats(), count);
        return asleep + cpus_ <= shared_.workers(); // what a wild worker has entered is no harm
    }

    const rings& shared_;
    std::size_t cpus_;
    std::chrono::nanoseconds moment_;
    unsigned looks_ = 0;
    std::chrono::steady_clock::time_point since_{};
};

} // namespace forkflow::nodes
