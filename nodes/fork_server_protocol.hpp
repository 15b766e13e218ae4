// SPDX-License-Identifier: MIT
// What the parent and the fork server say to each other, over one SOCK_SEQPACKET pair.
#pragma once

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

/// To the parent: one packet is one host_event (died or refused). End of file means: the fork server is gone.
static_assert(std::is_trivially_copyable_v<host_event> && std::is_trivially_copyable_v<fork_server_request>);

} // namespace forkflow::nodes
