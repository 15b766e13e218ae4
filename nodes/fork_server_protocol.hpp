// SPDX-License-Identifier: MIT
// What the parent and the fork server say to each other, over one SOCK_SEQPACKET pair; and the application
// and its forkflow::fork_server (the launcher), over another.
//
// Launching: the application sends an order with a ticket that it never used before, and waits for the answer
// with that ticket, for helper_patience at the most; then the order has failed. What comes later, from a
// launcher that somebody had stopped, has an older ticket and is thrown away, and the fork server with it,
// which sees that the other end of its socket is closed.
//
//   the launcher dies        what becomes of the order
//   ────────────────────────────────────────────────────────────────────────────────────────────────────
//   before it has forked     failed: the application sees the end of file
//   forked, not answered     likewise; the fork server sees the end of file, and leaves with its workers
//   answered                 the pool lives on; once its fork server dies, there is nobody to ask for another
//
// Requests and notices may not be lost. Where the kernel has no memory for one, which room in the socket says
// nothing about, it is sent again after memory_pause, until it is through or the other end is gone. So are
// answers; and orders, until their time has passed.
//
// A pool whose fork server was made by a launcher asks for another once that one dies, at any step: nobody
// lives then who worked for the pool, so all its seats are vacant, and what was claimed is charged. While
// there is no memory for that, or no further process, it asks again, for helper_patience. What an earlier
// order made nevertheless sees the end of its socket, and leaves.
#pragma once

#include <forkflow/nodes/portable_pool.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <cstddef>
#include <type_traits>

namespace forkflow::nodes {

/// From the parent. End of file means: kill all, reap all, go. After each of them, and after the end of file,
/// comes SIGCONT, as somebody may have stopped the fork server.
struct fork_server_request {
    enum class kind : std::uint32_t { start, kill };
    kind what;
    std::uint32_t seat;
    std::uint32_t incarnation;
};

/// To the parent: one packet is one of these (died or refused) and, behind its `tail_bytes`, the worker's
/// last words to standard error. End of file means: the fork server is gone.
struct fork_server_notice {
    host_event::kind what = host_event::kind::died;
    std::uint32_t seat = 0;
    std::uint32_t incarnation = 0;
    int pid = 0;
    int signal = 0;
    int status = 0;
    int error = 0;
    std::uint32_t tail_bytes = 0;
    std::uint64_t peak_memory_kib = 0;
    char tail[most_stderr_tail_bytes];
};
inline constexpr std::size_t notice_head_bytes = offsetof(fork_server_notice, tail);

/// To the launcher; with it travel the fork server's ends of socket and lifeline, the mapping, and what is
/// kept.
struct launch_order {
    std::uint64_t ticket;
    portable_pool pool;
};

/// From the launcher; with it, if there is no error, travels the new fork server's pidfd.
struct launch_answer {
    static constexpr int unknown_code = -1; ///< as an error: the order names code that is not loaded

    std::uint64_t ticket = 0;
    int error = 0;
};

static_assert(std::is_trivially_copyable_v<fork_server_notice> &&
              std::is_trivially_copyable_v<fork_server_request> &&
              std::is_trivially_copyable_v<launch_order> && std::is_trivially_copyable_v<launch_answer>);

} // namespace forkflow::nodes
