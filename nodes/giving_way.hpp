// SPDX-License-Identifier: MIT
// How the collector gives way to others while it looks for an outcome.
#pragma once

#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <chrono>
#include <cstddef>
#include <thread>

namespace forkflow::nodes {

/// Gives way between two looks of one wait: to whoever is runnable, or, once it has looked for some time in
/// vain while workers compute on all CPUs, by sleeping for a moment.
///
/// Who yields stays where it is. Two threads that yield to each other, as the collector and another of
/// oneTBB's that looks for tasks, may keep a CPU that way while all workers share the others; to the
/// scheduler that looks even. So it was in a third of all runs with bodies of 20 µs, which took twice as long
/// then. Who sleeps leaves its CPU to a worker.
class giving_way {
public:
    /// `cpus`: that this process may use. `moment`: how long it sleeps.
    giving_way(const rings& shared, std::size_t cpus, std::chrono::nanoseconds moment) noexcept
        : shared_(shared)
        , cpus_(cpus)
        , moment_(moment) {}

    /// True if it slept. Cost: from the ninth look on, one at who sleeps among the workers.
    bool operator()() {
        using clock = std::chrono::steady_clock;
        if (looks_++ == 0) {
            since_ = clock::now();
        }
        if (looks_ > few_looks && clock::now() - since_ > short_time && workers_use_all_cpus()) {
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

    [[nodiscard]] bool workers_use_all_cpus() const noexcept {
        std::size_t waiting = 0;
        const auto count = [&waiting](std::uint32_t) {
            ++waiting;
            return true;
        };
        for_each_seat(shared_.idle_seats(), shared_.seats(), count);
        for_each_seat(shared_.blocked_seats(), shared_.seats(), count);
        return waiting + cpus_ <= shared_.workers(); // what a wild worker has entered is no harm
    }

    const rings& shared_;
    std::size_t cpus_;
    std::chrono::nanoseconds moment_;
    unsigned looks_ = 0;
    std::chrono::steady_clock::time_point since_{};
};

} // namespace forkflow::nodes
