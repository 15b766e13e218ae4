// SPDX-License-Identifier: MIT
#include <forkflow/nodes/futex.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace forkflow::nodes {

bool futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
    return ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, nullptr, nullptr, 0) == 0;
}

bool futex_wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                    std::chrono::nanoseconds patience) noexcept {
    const timespec limit{.tv_sec = static_cast<time_t>(patience.count() / 1'000'000'000),
                         .tv_nsec = static_cast<long>(patience.count() % 1'000'000'000)};
    return ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &limit, nullptr, 0) == 0;
}

void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

} // namespace forkflow::nodes
