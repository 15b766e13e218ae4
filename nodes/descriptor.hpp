// SPDX-License-Identifier: MIT
// The owner of one file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace forkflow::nodes {

/// Closes its descriptor when it ends. Movable.
class descriptor {
public:
    descriptor() = default;
    explicit descriptor(int number) noexcept
        : number_(number) {}
    descriptor(descriptor&& other) noexcept
        : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
    void reset() noexcept {
        if (number_ >= 0) {
            ::close(number_);
        }
        number_ = -1;
    }

private:
    int number_ = -1;
};

} // namespace forkflow::nodes
