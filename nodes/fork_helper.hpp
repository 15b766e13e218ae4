// SPDX-License-Identifier: MIT
// The fork of the application: how a helper process comes into being beside whatever the application does.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <functional>

namespace forkflow::nodes {

/// Forks a process that runs `child`, which must not return, and never anything of the application: standard
/// output is flushed before, all signals are blocked in the child, and it has a process group of its own.
/// Returns its pidfd. Throws std::system_error.
[[nodiscard]] descriptor fork_helper(const std::function<void(int parent_pid)>& child);

/// Waits until a helper that was told to go is gone, and kills it if it takes five seconds; reaps it, if it
/// is a child of this process.
void wait_for_helper(const descriptor& process);

} // namespace forkflow::nodes
