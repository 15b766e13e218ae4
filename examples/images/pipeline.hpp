// SPDX-License-Identifier: MIT
// The flow graph: where forkflow is used.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace images {

/// A picture's file, and where its copy is to go.
struct task {
    std::filesystem::path from;
    std::filesystem::path to;
};

struct settings {
    std::size_t width = 1024;
    std::size_t workers = 0; ///< 0: one for each CPU
};

/// What was done.
struct totals {
    std::uint64_t written = 0; ///< pictures
    std::uint64_t failed = 0;  ///< pictures
    std::uint64_t request_bytes = 0;
    std::uint64_t result_bytes = 0;
    std::chrono::duration<double> time{};
};

/// Shrinks all pictures. `tell` is told of each that is a failure, in the order of the tasks. Throws what no
/// picture is to blame for: a file that cannot be written, a pool that cannot go on.
[[nodiscard]] totals shrink_all(const std::vector<task>& tasks, const settings& chosen,
                                const std::function<void(const task&, const std::string& why)>& tell);

} // namespace images
