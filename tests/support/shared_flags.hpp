// SPDX-License-Identifier: MIT
// Numbers that a test shares with the bodies in its workers, to hold bodies and to let them go.
#pragma once

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace forkflow_test {

/// An array of counters in memory that forked processes share. Make it before the node, so that the workers
/// inherit it. Nobody spins: who waits sleeps on a futex, which no death can leave locked.
class shared_flags {
public:
    explicit shared_flags(std::size_t count)
        : bytes_(count * sizeof(counter)) {
        void* const memory =
            ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::system_error(errno, std::generic_category(), "mmap");
        }
        counters_ = static_cast<counter*>(memory);
        for (std::size_t i = 0; i < count; ++i) {
            new (&counters_[i]) counter(0);
        }
    }
    ~shared_flags() { ::munmap(counters_, bytes_); }
    shared_flags(const shared_flags&) = delete;
    shared_flags& operator=(const shared_flags&) = delete;

    [[nodiscard]] std::uint32_t get(std::size_t index) const { return counters_[index].load(); }

    void set(std::size_t index, std::uint32_t value = 1) const {
        counters_[index].store(value);
        futex(index, FUTEX_WAKE, INT_MAX);
    }

    /// Returns what the counter was before.
    std::uint32_t add(std::size_t index, std::uint32_t more = 1) const {
        const std::uint32_t old = counters_[index].fetch_add(more);
        futex(index, FUTEX_WAKE, INT_MAX);
        return old;
    }

    /// Sleeps until the counter is at least `value`.
    void wait_for(std::size_t index, std::uint32_t value = 1) const {
        for (std::uint32_t seen = get(index); seen < value; seen = get(index)) {
            futex(index, FUTEX_WAIT, static_cast<int>(seen));
        }
    }

private:
    using counter = std::atomic<std::uint32_t>;
    static_assert(sizeof(counter) == sizeof(int));

    void futex(std::size_t index, int operation, int value) const {
        ::syscall(SYS_futex, &counters_[index], operation, value, nullptr, nullptr, 0);
    }

    std::size_t bytes_;
    counter* counters_;
};

} // namespace forkflow_test
