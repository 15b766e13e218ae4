// SPDX-License-Identifier: MIT
// A value as bytes and back.
#pragma once

#include <forkflow/codec.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace forkflow_test {

using bytes = std::vector<std::byte>; // starts aligned to 16, as memory from operator new does

template <class T>
bytes encoded(const T& value) {
    constexpr std::size_t extent_bytes = std::size_t{4} << 20U;
    alignas(16) std::array<std::byte, 64> inline_area;
    const std::unique_ptr<std::byte[]> extent(new std::byte[extent_bytes]); // uninitialised: most stays so
    forkflow::writer to(inline_area, std::span(extent.get(), extent_bytes));
    forkflow::encode(to, value);
    if (to.written().size() != to.size()) {
        throw std::logic_error("the encoding of a test's value has " + std::to_string(to.size()) + " bytes");
    }
    return bytes(to.written().begin(), to.written().end());
}

template <class T>
T decoded(const bytes& from) {
    forkflow::reader source(from);
    T value = forkflow::decode<T>(source);
    if (source.remaining() != 0) {
        throw std::logic_error(std::to_string(source.remaining()) + " bytes of a message are left");
    }
    return value;
}

// The encoding of a length, and zeros behind it.
inline bytes claims(std::uint64_t count, std::size_t bytes_after) {
    bytes message = encoded(count);
    message.resize(message.size() + bytes_after);
    return message;
}

} // namespace forkflow_test
