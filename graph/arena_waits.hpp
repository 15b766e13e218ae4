// SPDX-License-Identifier: MIT
// The threads that wait in put and take up tasks meanwhile.
#pragma once

#include <forkflow/graph/alarms.hpp>
#include <forkflow/graph/arena_wait.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace forkflow::graph {

/// Guarded by the mutex of whoever has it, but for `any`.
class arena_waits {
public:
    using clock = std::chrono::steady_clock;

    /// There may be some that were not released.
    [[nodiscard]] bool any() const noexcept { return any_.load(); }

    /// Takes up tasks, without the lock, until released, or until `deadline`. The thread is none of the
    /// `sleepers` meanwhile: tasks that it takes up may sleep, and count for themselves. Throws
    /// std::system_error if there is no thread for the deadline, or no stack.
    void wait(std::unique_lock<std::mutex>& lock, clock::time_point deadline,
              std::atomic<std::size_t>& sleepers) {
        arena_wait wait;
        std::optional<alarms<arena_wait>::alarm> in_time;
        if (deadline != clock::time_point::max()) {
            in_time.emplace(alarms_, wait, deadline);
        }
        waits_.push_back(&wait);
        any_ = true;
        --sleepers;
        lock.unlock();
        wait.wait();
        in_time.reset(); // it may have to be waited for, without the lock
        lock.lock();
        ++sleepers;
        std::erase(waits_, &wait);
    }

    /// Each is released once, however long it then lasts until the thread returns to it.
    void release() {
        for (arena_wait* const wait : waits_) {
            wait->release();
        }
        waits_.clear();
        any_ = false;
    }

private:
    std::vector<arena_wait*> waits_;
    std::atomic<bool> any_{false};
    alarms<arena_wait> alarms_;
};

} // namespace forkflow::graph
