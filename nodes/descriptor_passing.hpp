// SPDX-License-Identifier: MIT
// Packets that carry descriptors from one process to another (SCM_RIGHTS).
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace forkflow::nodes {

/// Sends one packet of `bytes` with `descriptors`, at most 128; again and again until `end` while the kernel
/// has no memory for it. Throws std::system_error.
void send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors,
                 std::chrono::steady_clock::time_point end = std::chrono::steady_clock::time_point::max());

/// One packet, as far as it fits `bytes`, and its descriptors. Waits for it. `size_bytes` 0: end of file.
/// Throws std::system_error.
struct received_packet {
    std::size_t size_bytes = 0;
    std::vector<descriptor> descriptors{};
};
[[nodiscard]] received_packet receive_packet(int socket, std::span<std::byte> bytes);

} // namespace forkflow::nodes
