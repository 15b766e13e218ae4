// SPDX-License-Identifier: MIT
// What a test shares with the workers that it starts, be they threads or processes.
#pragma once

#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <sys/mman.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <new>
#include <utility>

namespace forkflow_test {

/// One T in memory that processes forked later share. T is made of atomics.
template <class T>
class shared_value {
public:
    template <class... Arguments>
    explicit shared_value(Arguments&&... arguments)
        : memory_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        forkflow::nodes::checked("mmap", memory_ == MAP_FAILED ? -1 : 0);
        value_ = new (memory_) T(std::forward<Arguments>(arguments)...);
    }
    ~shared_value() { ::munmap(memory_, sizeof(T)); }
    shared_value(const shared_value&) = delete;
    shared_value& operator=(const shared_value&) = delete;

    T* operator->() const noexcept { return value_; }
    T& operator*() const noexcept { return *value_; }

private:
    void* memory_;
    T* value_;
};

/// Closed at first; bodies wait in front of it until the test opens it.
class gate {
public:
    void open() noexcept {
        open_.store(1);
        forkflow::nodes::futex_wake(open_, INT_MAX);
    }
    void pass() const noexcept {
        while (open_.load() == 0) {
            forkflow::nodes::futex_wait(open_, 0);
        }
    }

private:
    std::atomic<std::uint32_t> open_{0};
};

/// Opens a gate at the end of a scope, so that no body waits for ever when a test fails.
class opened_at_end {
public:
    explicit opened_at_end(gate& which)
        : which_(which) {}
    ~opened_at_end() { which_.open(); }
    opened_at_end(const opened_at_end&) = delete;
    opened_at_end& operator=(const opened_at_end&) = delete;

private:
    gate& which_;
};

} // namespace forkflow_test
