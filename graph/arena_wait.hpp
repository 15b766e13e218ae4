// SPDX-License-Identifier: MIT
// Waiting in a thread that the graph may need: it runs what tasks there are until it is released.
#pragma once

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace forkflow::graph {

/// One wait of one thread that belongs to an arena of oneTBB. It lasts until somebody calls `release`, or the
/// deadline has passed and what the thread took up is done.
///
/// The wait is that of an empty graph of its own, which somebody else holds: all public interface, and a
/// cancellation of the user's graph does not touch it.
class arena_wait {
public:
    /// The calling thread belongs to an arena.
    [[nodiscard]] static bool in_arena() noexcept {
        return tbb::this_task_arena::current_thread_index() >= 0;
    }
    /// False: it does not, or it waits like this already, too often for one stack.
    [[nodiscard]] static bool possible() noexcept {
        constexpr int deep = 100;
        return in_arena() && depth() < deep;
    }

    arena_wait() { own_.reserve_wait(); }
    ~arena_wait() { release(); }
    arena_wait(const arena_wait&) = delete;
    arena_wait& operator=(const arena_wait&) = delete;

    /// Ends the wait. Thread-safe.
    void release() {
        if (!released_.exchange(true)) {
            own_.release_wait();
        }
    }

    void wait_until(std::chrono::steady_clock::time_point deadline) {
        ++depth();
        if (deadline == std::chrono::steady_clock::time_point::max()) {
            own_.wait_for_all();
        } else {
            wait_with_alarm(deadline);
        }
        --depth();
    }

private:
    static int& depth() noexcept {
        thread_local int waits = 0;
        return waits;
    }

    /// oneTBB's waits have no deadline, so a thread keeps it.
    void wait_with_alarm(std::chrono::steady_clock::time_point deadline) {
        std::mutex mutex;
        std::condition_variable changed;
        bool over = false;
        std::thread alarm([&] {
            std::unique_lock lock(mutex);
            if (!changed.wait_until(lock, deadline, [&] { return over; })) {
                release();
            }
        });
        own_.wait_for_all();
        {
            const std::scoped_lock lock(mutex);
            over = true;
        }
        changed.notify_one();
        alarm.join();
    }

    tbb::flow::graph own_;
    std::atomic<bool> released_{false};
};

} // namespace forkflow::graph
