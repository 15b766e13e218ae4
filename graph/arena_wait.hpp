// SPDX-License-Identifier: MIT
// Waiting in a thread that the graph may need: it runs what tasks there are until it is released.
#pragma once

#include <forkflow/nodes/thread_stack.hpp>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <optional>

namespace forkflow::graph {

/// One wait of one thread that belongs to an arena of oneTBB. It lasts until somebody calls `release`, and
/// what the thread took up is done. The tasks that it takes up may wait like this themselves, on top: where
/// half of the stack is used, they go on on a further one, so that memory is the only limit.
///
/// The wait is that of an empty graph of its own, which somebody else holds: all public interface, and a
/// cancellation of the user's graph does not touch it.
class arena_wait {
public:
    /// The calling thread belongs to an arena.
    [[nodiscard]] static bool possible() noexcept {
        return tbb::this_task_arena::current_thread_index() >= 0;
    }
    /// It would be on a further stack. There oneTBB may take tasks only from the thread's own pool and from
    /// outside of the arena, not from other threads' pools: its rule for deep stacks goes by addresses.
    [[nodiscard]] static bool is_deep() noexcept { return !nodes::stack_is_half_empty(); }

    /// Throws std::system_error if it needs a further stack and there is no memory.
    arena_wait() {
        if (is_deep()) {
            stack_.emplace();
        }
        own_.reserve_wait();
    }
    ~arena_wait() { release(); }
    arena_wait(const arena_wait&) = delete;
    arena_wait& operator=(const arena_wait&) = delete;

    /// Ends the wait. Thread-safe.
    void release() {
        if (!released_.exchange(true)) {
            own_.release_wait();
        }
    }

    /// In the thread that made it.
    void wait() {
        if (stack_) {
            stack_->call([this] { own_.wait_for_all(); });
        } else {
            own_.wait_for_all();
        }
    }

private:
    std::optional<nodes::further_stack> stack_;
    tbb::flow::graph own_;
    std::atomic<bool> released_{false};
};

} // namespace forkflow::graph
