// SPDX-License-Identifier: MIT
// What an exception says, also one that says it badly.
#pragma once

#include <exception>
#include <string>

namespace forkflow::nodes {

/// what(), or nothing if that is a null pointer.
inline std::string text_of(const std::exception& thrown) {
    const char* const text = thrown.what();
    return text != nullptr ? text : "";
}

} // namespace forkflow::nodes
