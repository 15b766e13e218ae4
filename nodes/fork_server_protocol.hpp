// SPDX-License-Identifier: MIT
// What the parent and the fork server say to each other, over one SOCK_SEQPACKET pair.
#pragma once

#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <type_traits>

namespace forkflow::nodes {

/// From the parent. End of file means: kill all, reap all, go.
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

static_assert(std::is_trivially_copyable_v<fork_server_notice> &&
              std::is_trivially_copyable_v<fork_server_request>);

} // namespace forkflow::nodes
