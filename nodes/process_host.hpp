// SPDX-License-Identifier: MIT
// The host whose workers are processes: the parent's end of a fork server.
#pragma once

#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/launcher.hpp>
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/portable_pool.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace forkflow::nodes {

/// Forks a fork server from this process, or has one made by a launcher, on construction; ends it, and all
/// its workers, on destruction.
///
/// Everything that `main` needs is inherited by the fork. If other threads run at that moment, locks that
/// they hold stay locked in the workers (except for glibc's malloc and stdio), so a node is best built before
/// threads are started.
class process_host final : public worker_host {
public:
    /// Throws std::system_error. `options` and `main` must outlive the call only.
    process_host(const worker_main& main, const pool_options& options);
    /// Has the fork server made by `launcher`, which must outlive the host, as must the descriptor `mapping`.
    /// Throws std::system_error, std::invalid_argument.
    process_host(forkflow::fork_server& launcher, const portable_pool& order, int mapping);
    ~process_host() override;
    process_host(const process_host&) = delete;
    process_host& operator=(const process_host&) = delete;

    void start(std::uint32_t seat, std::uint32_t incarnation) override;
    void kill(std::uint32_t seat, std::uint32_t incarnation) override;
    void close() override;
    void wake() override;
    void interrupt() override;
    host_event next_event(std::int64_t patience_ns) override;
    bool restart() override;

private:
    using clock = std::chrono::steady_clock;

    /// The fork server's ends of what connects it to this process.
    struct server_ends {
        descriptor socket;
        descriptor lifeline;
    };
    [[nodiscard]] server_ends connect();
    void launch();
    [[nodiscard]] std::optional<bool> try_restart();
    void ask(const fork_server_request& request) const;
    [[nodiscard]] std::int64_t see_to_end(std::int64_t patience_ns);
    void wait_for_last_worker();

    descriptor socket_;
    descriptor interrupt_; ///< an eventfd
    descriptor lifeline_;  ///< reaches its end once the fork server and all workers are gone
    descriptor server_;    ///< a pidfd: readable once the fork server is dead
    std::mutex closing_;   ///< guards closed_ and what follows; held by close and restart
    bool closed_ = false;
    clock::time_point kill_server_at_; ///< once closed
    forkflow::fork_server* launcher_ = nullptr;
    std::unique_ptr<portable_pool> order_;
    int mapping_ = -1;
    std::vector<descriptor> kept_; ///< copies: another fork server gets the same, whatever becomes of those
};

} // namespace forkflow::nodes
