// SPDX-License-Identifier: MIT
// Whether this program was built with a sanitizer, which makes it several times slower and larger.
#pragma once

#include <chrono>
#include <cstddef>

namespace forkflow_test {

#ifndef __has_feature
#define __has_feature(x) 0 // g++ 12 and 13 do not know it
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) ||     \
    __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// `normal`, or a part of it under a sanitizer.
constexpr std::size_t scaled_down(std::size_t normal, std::size_t divisor = 10) {
    return sanitized ? normal / divisor : normal;
}

} // namespace forkflow_test
