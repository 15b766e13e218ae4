// SPDX-License-Identifier: MIT
// A mutex with two classes of users: those who do the work, and those who only look on and give way.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace forkflow::nodes {

/// A std::mutex whose onlookers do not starve its workers: std::mutex alone may be taken again and again by
/// one thread that hardly ever leaves it. Lockable: `lock` is the workers'.
class polite_mutex {
public:
    void lock() {
        if (!mutex_.try_lock()) {
            waiting_.fetch_add(1, std::memory_order_relaxed);
            mutex_.lock();
            waiting_.fetch_sub(1, std::memory_order_relaxed);
        }
    }
    bool try_lock() { return mutex_.try_lock(); }
    void unlock() { mutex_.unlock(); }

    /// Waits until no worker waits. Call it before `lock` to look on.
    void give_way() const noexcept {
        while (waiting_.load(std::memory_order_relaxed) > 0) {
            std::this_thread::yield();
        }
    }

private:
    std::mutex mutex_;
    std::atomic<int> waiting_{0};
};

} // namespace forkflow::nodes
