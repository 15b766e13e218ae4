// SPDX-License-Identifier: MIT
// The file behind the memory of this process's pool, of which there must be one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>

#include <sys/stat.h>

namespace forkflow_test {

/// Its descriptor; -1: there is no pool.
inline int file_of_pool() {
    int file = -1;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone).string().find("memfd:forkflow") !=
            std::string::npos) {
            file = std::stoi(entry.path().filename());
        }
    }
    return file;
}

/// What the pool has taken of memory.
inline std::size_t bytes_of_pool() {
    struct stat about {};
    constexpr std::size_t block_bytes = 512;
    return ::fstat(file_of_pool(), &about) == 0 ? static_cast<std::size_t>(about.st_blocks) * block_bytes : 0;
}

} // namespace forkflow_test
