// SPDX-License-Identifier: MIT
// Waiting in a thread that the graph may need: it runs what tasks there are until it is released.
#pragma once

#include <forkflow/nodes/thread_stack.hpp>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>

namespace forkflow::graph {

/// One wait of one thread that belongs to an arena of oneTBB. It lasts until somebody calls `release`, and
/// what the thread took up is done.
///
/// The wait is that of an empty graph of its own, which somebody else holds: all public interface, and a
/// cancellation of the user's graph does not touch it.
class arena_wait {
public:
    /// The calling thread belongs to an arena.
    [[nodiscard]] static bool in_arena() noexcept {
        return tbb::this_task_arena::current_thread_index() >= 0;
    }
    /// False: it does not, or its stack is half full: tasks that it takes up may wait like this themselves,
    /// so that waits pile up on it.
    [[nodiscard]] static bool possible() noexcept { return in_arena() && nodes::stack_is_half_empty(); }

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

    void wait() { own_.wait_for_all(); }

private:
    tbb::flow::graph own_;
    std::atomic<bool> released_{false};
};

} // namespace forkflow::graph
