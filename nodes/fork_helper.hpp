// SPDX-License-Identifier: MIT
// The fork of the application: how a helper process comes into being beside whatever the application does.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <chrono>
#include <functional>

namespace forkflow::nodes {

/// Forks a process that runs `child`, which must not return, and never anything of the application: standard
/// output is flushed before, all signals are blocked in the child, and it has a process group of its own.
/// Returns its pidfd. Throws std::system_error.
[[nodiscard]] descriptor fork_helper(const std::function<void(int parent_pid)>& child);

/// So long a helper that was told to go may take, or one that was asked for something.
inline constexpr std::chrono::seconds helper_patience(5);

/// By pidfd, as the number may be another process's by now. If the helper is gone, nothing happens.
void signal_helper(const descriptor& process, int signal) noexcept;

/// The end of file for a helper at the other end of `socket`, whoever else holds copies of this end; which
/// only a running process sees, so the helper is continued if somebody has stopped it.
void tell_helper_to_go(const descriptor& socket, const descriptor& process) noexcept;

/// Whether a process has ended, without poll, which tells the same unless it refuses to look. Of a process
/// that is no child of this one: once it is reaped.
[[nodiscard]] bool has_ended(const descriptor& process) noexcept;

/// Waits until a helper that was told to go is gone, and kills it if it takes helper_patience; reaps it, if
/// it is a child of this process.
void wait_for_helper(const descriptor& process);

} // namespace forkflow::nodes
