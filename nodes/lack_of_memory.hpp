// SPDX-License-Identifier: MIT
// The system has no memory just now: what says so, and how long to wait before trying again.
#pragma once

#include <cerrno>
#include <chrono>

namespace forkflow::nodes {

/// Whether a system call's error means that the kernel has no memory now.
inline bool is_lack_of_memory(int error) noexcept {
    return error == ENOBUFS || error == ENOMEM;
}
/// Nothing tells when there is memory again.
inline constexpr std::chrono::milliseconds memory_pause(10);

} // namespace forkflow::nodes
