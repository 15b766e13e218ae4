// SPDX-License-Identifier: MIT
// Futexes that processes share: the one way in which anybody sleeps on a word of the mapping.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace forkflow::nodes {

/// Sleeps while `word` holds `expected`, until woken. True if it was woken; false if it did not sleep, or a
/// signal came. May return early; look again. Thread- and process-safe.
/// std::atomic::wait is no substitute: libstdc++ waits on a process-private futex, or on a private proxy of
/// the word.
bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept;
/// The same, for `patience` at the most.
bool futex_wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                    std::chrono::nanoseconds patience) noexcept;

/// Wakes up to `count` sleepers of `word`, in any process. One system call.
void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

} // namespace forkflow::nodes
