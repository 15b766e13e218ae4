// SPDX-License-Identifier: MIT
// How much memory is taken from operator new, and who gets none. It replaces that operator, so one source of
// a program includes it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace forkflow_fuzz {

inline thread_local std::size_t* memory_left = nullptr;

/// While it lives, this thread can take only so many bytes, given back or not; then there is std::bad_alloc.
class memory_budget {
public:
    explicit memory_budget(std::size_t bytes) noexcept
        : left_(bytes) {
        memory_left = &left_;
    }
    ~memory_budget() { memory_left = nullptr; }
    memory_budget(const memory_budget&) = delete;
    memory_budget& operator=(const memory_budget&) = delete;

private:
    std::size_t left_;
};

/// Unless null: whether the thread that calls it gets no memory.
inline std::atomic<bool (*)() noexcept> gets_none{nullptr};

inline bool is_refused() noexcept {
    const auto ask = gets_none.load();
    return ask != nullptr && ask();
}

} // namespace forkflow_fuzz

// Not to be inlined: where only one of a pair is, g++ sees an allocation that is freed in another way.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    std::size_t* const left = forkflow_fuzz::memory_left;
    if ((left != nullptr && bytes > *left) || forkflow_fuzz::is_refused()) {
        throw std::bad_alloc();
    }
    if (left != nullptr) {
        *left -= bytes;
    }
    if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) {
        return memory;
    }
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
    return forkflow_fuzz::is_refused() ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept {
    std::free(memory);
}
