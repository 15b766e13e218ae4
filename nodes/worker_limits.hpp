// SPDX-License-Identifier: MIT
// What a worker process may use.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace forkflow {

/// Limits of each worker process, set before worker_init runs. What is left open is as in the application. A
/// limit that the system refuses is an error of the worker's beginning: the pool fails and says which.
struct worker_limits {
    /// Private memory, in bytes, beyond what the worker has when it begins (RLIMIT_DATA). What exceeds it is
    /// refused: std::bad_alloc in the body. Of no use under the address sanitizer.
    std::optional<std::size_t> memory_bytes{};
    /// CPU time of the worker in all its life, in whole seconds, 1 s to 100 years (RLIMIT_CPU); then it dies
    /// of SIGXCPU.
    std::optional<std::chrono::seconds> cpu_time{};
    /// Open descriptors (RLIMIT_NOFILE).
    std::optional<std::size_t> open_files{};
    /// The largest core file, in bytes, that a crash may leave (RLIMIT_CORE, its soft limit): none. It does
    /// not bind systems that hand cores to a program (core_pattern with |).
    std::size_t core_bytes = 0;
    /// The nice value, -20 to 19. Below the application's it needs privileges.
    std::optional<int> niceness{};
    /// CPUs on which workers may run, 0 to 1023 each. Empty: those of the application.
    std::vector<int> cpus{};
    /// Nothing that the worker executes gains privileges (PR_SET_NO_NEW_PRIVS).
    bool no_new_privs = false;
};

namespace nodes {

/// Applies `limits` to this process. Throws std::system_error that names the call.
void apply(const worker_limits& limits);

} // namespace nodes
} // namespace forkflow
