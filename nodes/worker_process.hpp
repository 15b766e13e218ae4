// SPDX-License-Identifier: MIT
// The process around a worker: signals, descriptors, names and last words.
#pragma once

#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <span>

namespace forkflow::nodes {

/// Gives the calling process a name, of which 15 bytes count. By the system call itself: around the C
/// library's function the address sanitizer takes a lock, which another thread may have held at the fork.
void name_process(const char* name) noexcept;

/// Turns a freshly forked child of the application into a process of its own: own process group, default
/// dispositions (SIGINT and SIGPIPE ignored, so that the parent decides), standard input from /dev/null, no
/// inherited output, and no descriptor open but 1, 2, `socket`, `lifeline` and `keep`. Throws
/// std::system_error.
void become_helper_process(int socket, int lifeline, std::span<const int> keep);

/// Runs `main` in a freshly forked child of the fork server and leaves by _exit: no static destructor, no
/// atexit handler of the application ever runs in a worker, not even if the body calls exit().
[[noreturn]] void run_worker_process(int server_pid, std::uint32_t seat, std::uint32_t incarnation,
                                     const worker_main& main);

/// Lets the kernel kill this process with its parent, which is `parent_pid`; leaves at once if that is gone
/// already.
void die_with(int parent_pid);

/// Lets fatal signals leave the stack of the crash in `seat`'s last words before they kill. To be called in
/// the worker.
void leave_last_words(const rings& shared, std::uint32_t seat);

} // namespace forkflow::nodes
