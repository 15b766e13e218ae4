// SPDX-License-Identifier: MIT
// C++ names as people write them.
#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace forkflow::nodes {

/// The readable form of a mangled name; names that are not mangled come back unchanged.
inline std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> readable(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return readable ? readable.get() : name;
}

} // namespace forkflow::nodes
