// SPDX-License-Identifier: MIT
// The host whose workers are processes: the parent's end of a fork server.
#pragma once

#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/worker_host.hpp>

namespace forkflow::nodes {

/// Forks a fork server from this process on construction; ends it, and all its workers, on destruction.
///
/// Everything that `main` needs is inherited by the fork. If other threads run at that moment, locks that
/// they hold stay locked in the workers (except for glibc's malloc and stdio), so a node is best built before
/// threads are started.
class process_host final : public worker_host {
public:
    /// Throws std::system_error. `options` and `main` must outlive the call only.
    process_host(const worker_main& main, const pool_options& options);
    ~process_host() override;
    process_host(const process_host&) = delete;
    process_host& operator=(const process_host&) = delete;

    void start(std::uint32_t seat, std::uint32_t incarnation) override;
    void kill(std::uint32_t seat, std::uint32_t incarnation) override;
    void close() override;
    void interrupt() override;
    host_event next_event(std::int64_t patience_ns) override;

private:
    void fork_server(const worker_main& main, const pool_options& options, descriptor server_end,
                     descriptor lifeline_end);
    void wait_for_last_worker();

    descriptor socket_;
    descriptor interrupt_; ///< an eventfd
    descriptor lifeline_;  ///< reaches its end once the fork server and all workers are gone
    int server_pid_ = -1;
    descriptor server_; ///< a pidfd: readable once the fork server is dead
};

} // namespace forkflow::nodes
