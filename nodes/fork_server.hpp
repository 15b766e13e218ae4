// SPDX-License-Identifier: MIT
// The fork server: the single-threaded process that forks, kills and reaps workers.
#pragma once

#include <forkflow/nodes/steps.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <span>

namespace forkflow::nodes {

/// What the fork server needs from the process that it was forked from.
struct fork_server_setup {
    int socket;                ///< its end of the pair
    int lifeline;              ///< held open by it and by every worker: the parent sees when the last is gone
    int parent_pid = -1;       ///< the application, if it is this process's parent
    int application = -1;      ///< else: its pidfd, which the fork server then owns
    std::span<const int> keep; ///< descriptors that stay open in workers, beside 0, 1 and 2
    std::size_t stderr_tail_bytes; ///< how much of a worker's standard error is kept; 0: it is inherited
    const step_hook& hook;
    const worker_main& main;
};

/// Serves until the parent closes the socket or dies; then kills and reaps all workers. Runs in the forked
/// child, with all signals blocked on entry; never returns. No worker outlives it: workers die with it by
/// PR_SET_PDEATHSIG, which follows the forking thread, of which it has one.
[[noreturn]] void run_fork_server(const fork_server_setup& setup);

} // namespace forkflow::nodes
