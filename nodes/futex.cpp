// SPDX-License-Identifier: MIT
#include <forkflow/nodes/futex.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace forkflow::nodes {

bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
    return ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, nullptr, nullptr, 0) == 0;
}

void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

} // namespace forkflow::nodes
