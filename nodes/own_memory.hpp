// SPDX-License-Identifier: MIT
// Addresses of what only this process has, found in bytes that are to be sent to another.
#pragma once

#include <cstddef>
#include <span>

namespace forkflow::nodes {

/// Whether one of the aligned words of `bytes` is the address of memory that this process has, and that is no
/// part of the program or of a library: of a stack, of the heap, of something that was mapped. Not exact: a
/// number may happen to be such an address. Thread-safe. Cost: next to none for small numbers, for
/// floating-point numbers and for negative ones; otherwise a system call for each word.
[[nodiscard]] bool leads_to_own_memory(std::span<const std::byte> bytes);

} // namespace forkflow::nodes
