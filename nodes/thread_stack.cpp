// SPDX-License-Identifier: MIT
#include <forkflow/nodes/thread_stack.hpp>

#include <cstddef>
#include <cstdint>

#include <pthread.h>

namespace forkflow::nodes {
namespace {

/// The upper half of a stack, which grows downwards.
struct upper_half {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
};

upper_half own_upper_half() noexcept {
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) {
        return {};
    }
    void* lowest = nullptr;
    std::size_t bytes = 0;
    ::pthread_attr_getstack(&attributes, &lowest, &bytes);
    ::pthread_attr_destroy(&attributes);
    const auto begin = reinterpret_cast<std::uintptr_t>(lowest);
    return {.begin = begin + bytes / 2, .end = begin + bytes};
}

} // namespace

bool stack_is_half_empty() noexcept {
    thread_local const upper_half own = own_upper_half();
    // Not a variable's address, which the address sanitizer may have moved to a stack of its own.
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    return here >= own.begin && here < own.end;
}

} // namespace forkflow::nodes
