// SPDX-License-Identifier: MIT
// How far apart lies what different threads or processes write all the time.
#pragma once

#include <cstddef>

namespace forkflow::nodes {

/// Not std::hardware_destructive_interference_size: it may differ from compiler to compiler, and the rings'
/// layout must not.
inline constexpr std::size_t cache_line_bytes = 64;

/// Stands between members that different threads write all the time, so that none lie on one line. Alignment
/// would ask more of whoever allocates the object.
struct cache_line_gap {
    std::byte unused[cache_line_bytes];
};

} // namespace forkflow::nodes
