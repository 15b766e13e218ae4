// SPDX-License-Identifier: MIT
// When the parent looks whether it is cancelled: where nobody tells it, as in oneTBB's graphs.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>

namespace forkflow::nodes {

/// While messages are inside and none leaves, a look is due after 20 ms, after 40, and so on, up to a second;
/// while some leave, none is, as whoever takes them sees for himself. With `always` it is due every 20 ms
/// while something is inside.
///
/// `comes_due`, `left` and `rest` are for one thread; the others are thread-safe.
class cancel_look {
public:
    using clock = std::chrono::steady_clock;

    explicit cancel_look(bool always)
        : always_(always) {}

    /// From now on somebody may be cancelled.
    void expect() noexcept { expected_.store(true); }
    [[nodiscard]] bool expected() const noexcept { return expected_.load(); }

    /// True, once, if a look is due.
    [[nodiscard]] bool take() noexcept { return due_.exchange(false); }

    /// To be called while something is inside, `oldest` first. True: a look is due from now on, and whoever
    /// takes it is to be told.
    [[nodiscard]] bool comes_due(clock::time_point now, sequence oldest) {
        const bool begins = at_ == clock::time_point();
        if (!begins && now < at_) {
            return false;
        }
        const bool stands_still = !begins && oldest == oldest_;
        time_ = stands_still && !always_ ? std::min(2 * time_, longest) : shortest;
        at_ = now + time_;
        oldest_ = oldest;
        const bool due = stands_still || (always_ && !begins);
        if (due) {
            due_.store(true);
        }
        return due;
    }
    /// After comes_due: for how long it will not.
    [[nodiscard]] std::chrono::nanoseconds left(clock::time_point now) const noexcept { return at_ - now; }
    /// To be called while nothing is inside.
    void rest() noexcept { at_ = {}; }

private:
    static constexpr std::chrono::nanoseconds shortest = std::chrono::milliseconds(20);
    static constexpr std::chrono::nanoseconds longest = std::chrono::seconds(1);

    const bool always_;
    std::atomic<bool> expected_{false};
    std::atomic<bool> due_{false};
    std::chrono::nanoseconds time_ = shortest;
    clock::time_point at_{};
    sequence oldest_ = 0;
};

} // namespace forkflow::nodes
