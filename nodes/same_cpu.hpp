// SPDX-License-Identifier: MIT
// How a worker gives way to others while it waits: it depends on whether the collector has its CPU.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace forkflow::nodes {

/// 1 + the CPU that this thread is on; 0: unknown. No system call where the C library knows it (rseq, vDSO).
[[nodiscard]] inline std::uint32_t this_cpu() noexcept {
    return static_cast<std::uint32_t>(::sched_getcpu() + 1);
}

/// For the collector, with its lock held: it is here.
inline void note_collector_here(parent_block& parent) noexcept {
    const std::uint32_t here = this_cpu();
    // A hint, without a partner. Workers have this line in their caches, so it is not written for nothing.
    if (parent.collector_cpu.load(std::memory_order_relaxed) != here) {
        parent.collector_cpu.store(here, std::memory_order_relaxed);
    }
}

/// For a worker, between two looks of a wait that has lasted for `waited`.
///
/// If the collector was here, it has to have the CPU for the wait to end: it gets it at once. If not, whoever
/// else is runnable here is mostly a thread of oneTBB that looks for tasks and yields itself. It gets the CPU
/// when the wait has lasted for about as long as giving it away and getting it back takes: two switches, with
/// cold caches.
inline void give_way_to_collector(const parent_block& parent, std::chrono::nanoseconds waited) noexcept {
    constexpr std::chrono::microseconds two_switches{10};
    if (waited >= two_switches || parent.collector_cpu.load(std::memory_order_relaxed) == this_cpu()) {
        std::this_thread::yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

} // namespace forkflow::nodes
