// SPDX-License-Identifier: MIT
// Deadlines for waits that have none of their own.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace forkflow::graph {

/// Calls `release()` of what waits, once its deadline has passed: oneTBB's waits know no deadline. One thread
/// keeps all the deadlines; there is one only while there are any. Thread-safe.
template <class Wait>
class alarms {
public:
    using clock = std::chrono::steady_clock;

    /// An alarm for `wait` while the object lives, and not a moment longer.
    class alarm {
    public:
        /// Throws std::system_error if there is no thread to be had.
        alarm(alarms& keeper, Wait& wait, clock::time_point at)
            : keeper_(keeper)
            , wait_(wait) {
            keeper_.add(wait, at);
        }
        ~alarm() { keeper_.remove(wait_); }
        alarm(const alarm&) = delete;
        alarm& operator=(const alarm&) = delete;

    private:
        alarms& keeper_;
        Wait& wait_;
    };

private:
    struct pending {
        clock::time_point at;
        Wait* wait;
    };

    void add(Wait& wait, clock::time_point at) {
        const std::scoped_lock lock(mutex_);
        if (!thread_.joinable()) {
            thread_ = std::jthread([this](const std::stop_token& over) { keep(over); });
        }
        pending_.push_back({at, &wait});
        ++alarms_;
        changed_.notify_all();
    }

    void remove(Wait& wait) {
        std::jthread ending; // joined without the lock
        const std::scoped_lock lock(mutex_);
        std::erase_if(pending_, [&](const pending& one) { return one.wait == &wait; });
        if (--alarms_ == 0) {
            ending.swap(thread_);
        }
    }

    void keep(const std::stop_token& over) {
        std::unique_lock lock(mutex_);
        while (!over.stop_requested()) {
            if (pending_.empty()) {
                changed_.wait(lock, over, [&] { return !pending_.empty(); });
                continue;
            }
            const auto next = earliest();
            changed_.wait_until(lock, over, next, [&] { return !pending_.empty() && earliest() < next; });
            release_until(clock::now());
        }
    }

    [[nodiscard]] clock::time_point earliest() const {
        return std::ranges::min(pending_, {}, &pending::at).at;
    }

    void release_until(clock::time_point now) {
        std::erase_if(pending_, [&](const pending& one) {
            const bool due = one.at <= now;
            if (due) {
                one.wait->release();
            }
            return due;
        });
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<pending> pending_; ///< those not released yet
    std::size_t alarms_ = 0;
    std::jthread thread_;
};

} // namespace forkflow::graph
