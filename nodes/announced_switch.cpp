// SPDX-License-Identifier: MIT
#include <forkflow/nodes/announced_switch.hpp>

// The address sanitizer's, there if the program is built with it.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** left, const void* lowest, std::size_t bytes);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* left, const void** lowest, std::size_t* bytes);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* begin, std::size_t bytes);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace forkflow::nodes {

void announced_switch::going(const void* lowest, std::size_t bytes) noexcept {
    if (__sanitizer_start_switch_fiber != nullptr) {
        __sanitizer_start_switch_fiber(&left_, lowest, bytes);
    }
}

void announced_switch::arrived() noexcept {
    if (__sanitizer_finish_switch_fiber != nullptr) {
        __sanitizer_finish_switch_fiber(nullptr, &lowest_, &bytes_);
    }
}

void announced_switch::returning() noexcept {
    if (__sanitizer_start_switch_fiber != nullptr) {
        __sanitizer_start_switch_fiber(nullptr, lowest_, bytes_);
    }
}

void announced_switch::returned() noexcept {
    if (__sanitizer_finish_switch_fiber != nullptr) {
        __sanitizer_finish_switch_fiber(left_, nullptr, nullptr);
    }
}

void announced_switch::forget(const void* lowest, std::size_t bytes) noexcept {
    if (__asan_unpoison_memory_region != nullptr) {
        __asan_unpoison_memory_region(lowest, bytes);
    }
}

} // namespace forkflow::nodes
