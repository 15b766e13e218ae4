// SPDX-License-Identifier: MIT
// What is thrown where a message would need memory that the system does not give.
#pragma once

#include <cstddef>
#include <new>

namespace forkflow::nodes {

/// Makes the message a failure (no_memory).
class no_message_memory : public std::bad_alloc {
public:
    explicit no_message_memory(std::size_t bytes) noexcept
        : bytes_(bytes) {}
    [[nodiscard]] const char* what() const noexcept override {
        return "forkflow: the system has no memory for a message of this size";
    }
    /// How many bytes the message had, at least.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::size_t bytes_;
};

} // namespace forkflow::nodes
