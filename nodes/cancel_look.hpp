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
/// `next_in` is for one thread; the others are thread-safe.
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

    /// To be called while something is inside, `oldest` first. Returns after how long to call again; 0: a
    /// look is due from now on, and whoever takes it is to be told. Then call again.
    [[nodiscard]] std::chrono::nanoseconds next_in(clock::time_point now, sequence oldest) {
        if (at_ == clock::time_point()) {
            start(now, shortest, oldest);
        } else if (now >= at_) {
            const bool stands_still = oldest == oldest_;
            start(now, stands_still && !always_ ? std::min(2 * time_, longest) : shortest, oldest);
            if (stands_still || always_) {
                due_.store(true);
                return std::chrono::nanoseconds(0);
            }
        }
        return at_ - now;
    }
    /// To be called while nothing is inside.
    void rest() noexcept { at_ = {}; }

private:
    static constexpr std::chrono::nanoseconds shortest = std::chrono::milliseconds(20);
    static constexpr std::chrono::nanoseconds longest = std::chrono::seconds(1);

    void start(clock::time_point now, std::chrono::nanoseconds time, sequence oldest) {
        time_ = time;
        at_ = now + time;
        oldest_ = oldest;
    }

    const bool always_;
    std::atomic<bool> expected_{false};
    std::atomic<bool> due_{false};
    std::chrono::nanoseconds time_ = shortest;
    clock::time_point at_{};
    sequence oldest_ = 0;
};

} // namespace forkflow::nodes
