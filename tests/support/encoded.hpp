// SPDX-License-Identifier: MIT
// A value as bytes and back.
#pragma once

#include <forkflow/codec.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace forkflow_test {

using bytes = std::vector<std::byte>; // starts aligned to 16, as memory from operator new does

template <class T>
bytes encoded(const T& value) {
    forkflow::writer measured({}, {}); // only counts
    forkflow::encode(measured, value);
    bytes message(measured.size());
    alignas(16) std::array<std::byte, 64> inline_area;
    forkflow::writer to(inline_area, message);
    forkflow::encode(to, value);
    if (to.overflowed() || to.size() != message.size()) {
        throw std::logic_error("a value was encoded in " + std::to_string(message.size()) +
                               " bytes, and then in " + std::to_string(to.size()));
    }
    std::copy(to.written().begin(), to.written().end(), message.begin());
    return message;
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
