// SPDX-License-Identifier: MIT
// What is sent in the benchmarks, and who takes it at the end.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace forkflow_benchmark {

/// 64 bytes that are copied as they are.
struct small_message {
    std::uint64_t number;
    std::array<std::uint64_t, 7> payload;
};
static_assert(sizeof(small_message) == 64);

/// Any number of bytes, from 8. The number stands in front.
using sized_message = std::vector<std::byte>;

inline std::uint64_t number_of(const small_message& message) noexcept {
    return message.number;
}
inline std::uint64_t number_of(const sized_message& message) noexcept {
    std::uint64_t number = 0;
    std::memcpy(&number, message.data(), sizeof(number));
    return number;
}

/// Makes small messages.
struct small_messages {
    using type = small_message;
    small_message operator()(std::uint64_t number) const noexcept {
        return {.number = number, .payload = {}};
    }
};

/// Makes messages of this size.
struct sized_messages {
    using type = sized_message;
    std::size_t size_bytes;
    sized_message operator()(std::uint64_t number) const {
        sized_message made(std::max(size_bytes, sizeof(number)));
        std::memcpy(made.data(), &number, sizeof(number));
        return made;
    }
};

/// The sink of every benchmark: all messages must come out, in order.
class in_order {
public:
    void take(std::uint64_t number) noexcept {
        wrong_ |= number != next_;
        ++next_;
    }
    void check(std::uint64_t expected) const {
        if (wrong_ || next_ != expected) {
            throw std::runtime_error("messages came out of order, or not at all");
        }
    }

private:
    std::uint64_t next_ = 0;
    bool wrong_ = false;
};

} // namespace forkflow_benchmark
