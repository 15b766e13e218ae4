// SPDX-License-Identifier: MIT
// Looking again for a while before going to sleep.
#pragma once

#include <algorithm>
#include <chrono>

namespace forkflow::nodes {

/// Waits by looking again and again, for a bounded time, and lets the caller give way to whoever else wants
/// the processor each time. A sleep and the wake that ends it cost tens of microseconds; this saves them
/// where the wait is short.
///
/// Adaptive: each time in vain halves the time, a success restores it. Once the time has come down to a
/// sixteenth it does not wait at all, but tries again now and then. For one thread.
class spinner {
public:
    /// `most`: the longest time; 0: never waits.
    explicit spinner(std::chrono::nanoseconds most)
        : most_(most)
        , time_(most) {}

    using time_point = std::chrono::steady_clock::time_point;

    /// Waits until `ready()`, but not beyond `deadline`, and returns what that returned last. Calls
    /// `give_way(waited)` before each look, with how long it has waited.
    template <class Ready, class GiveWay>
    bool wait(Ready&& ready, time_point deadline, GiveWay&& give_way) {
        if (!is_worth_it()) {
            return false;
        }
        const time_point start = std::chrono::steady_clock::now();
        const time_point end = std::min(start + time_, deadline);
        time_point now = start;
        do {
            give_way(std::chrono::nanoseconds(now - start));
            if (ready()) {
                time_ = most_;
                return true;
            }
            now = std::chrono::steady_clock::now();
        } while (now < end);
        time_ /= 2;
        return false;
    }

    /// True if wait would look at all. When it would not, every 32nd call says that it may be tried again.
    [[nodiscard]] bool is_worth_it() {
        if (time_ > most_ / 16) {
            return true;
        }
        constexpr unsigned pause = 32;
        if (most_.count() == 0 || ++skipped_ < pause) {
            return false;
        }
        skipped_ = 0;
        time_ = most_ / 4;
        return true;
    }

private:
    std::chrono::nanoseconds most_;
    std::chrono::nanoseconds time_;
    unsigned skipped_ = 0;
};

} // namespace forkflow::nodes
