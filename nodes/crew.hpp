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
    crew(pool& owner, std::function<void()> on_progress, const portable_body& portable);
    ~crew();
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    /// Ends the thread that calls on_progress.
    void stop_listening() noexcept;
    /// Kills and reaps all workers and ends both threads. Once done, it stays done.
    void stop() noexcept;
    [[nodiscard]] bool is_over() const noexcept { return !supervisor_thread_.joinable(); }

    std::unique_ptr<worker_host> host;
    supervisor tending;

private:
    static std::unique_ptr<worker_host> make_host(pool& owner, const portable_body& portable);
    void listen();

    pool& owner_;
    std::function<void()> on_progress_;
    std::atomic<bool> leaving_{false};
    std::thread supervisor_thread_;
    std::thread listener_thread_;
};

} // namespace forkflow::nodes
