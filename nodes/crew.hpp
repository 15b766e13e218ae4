// SPDX-License-Identifier: MIT
// The running part of a pool: its host and its two threads.
#pragma once

#include <forkflow/nodes/pool.hpp>
#include <forkflow/nodes/supervisor.hpp>

#include <atomic>
#include <thread>

namespace forkflow::nodes {

/// Started by its constructor, ended by `stop` or its destructor.
struct pool::crew {
    crew(pool& owner, std::function<void()> on_progress);
    ~crew();
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    /// Kills and reaps all workers and ends both threads. Once done, it stays done.
    void stop() noexcept;

    std::unique_ptr<worker_host> host;
    supervisor tending;

private:
    void listen();

    pool& owner_;
    std::function<void()> on_progress_;
    std::atomic<bool> leaving_{false};
    std::thread supervisor_thread_;
    std::thread listener_thread_;
};

} // namespace forkflow::nodes
