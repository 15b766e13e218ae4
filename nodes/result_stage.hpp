// SPDX-License-Identifier: MIT
// Where a worker writes a result that is to be verified, before it is copied to where others can write.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <cstddef>
#include <span>

namespace forkflow::nodes {

/// Private memory in the shape of a result slot: an inline area, and an extent that is address space until it
/// is used. What was used stays until the end.
class result_stage {
public:
    /// Throws std::system_error.
    explicit result_stage(std::size_t extent_bytes);
    ~result_stage();
    result_stage(const result_stage&) = delete;
    result_stage& operator=(const result_stage&) = delete;

    [[nodiscard]] std::span<std::byte> inline_area() const noexcept { return {begin_, inline_bytes}; }
    [[nodiscard]] std::span<std::byte> extent() const noexcept {
        return {begin_ + page_bytes, bytes_ - page_bytes};
    }

private:
    std::size_t bytes_;
    std::byte* begin_;
};

} // namespace forkflow::nodes
