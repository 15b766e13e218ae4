// SPDX-License-Identifier: MIT
#include <forkflow/nodes/result_stage.hpp>

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace forkflow::nodes {

result_stage::result_stage(std::size_t extent_bytes)
    : bytes_(page_bytes + extent_bytes) {
    void* const mapped =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        throw std::system_error(errno, std::system_category(), "mmap");
    }
    begin_ = static_cast<std::byte*>(mapped);
}

result_stage::~result_stage() {
    ::munmap(begin_, bytes_);
}

} // namespace forkflow::nodes
