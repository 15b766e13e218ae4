// SPDX-License-Identifier: MIT
// What has to hold for every type: a value survives being sent, and a damaged encoding does no harm.
#pragma once

#include "support/catch.hpp"
#include "support/encoded.hpp"
#include "support/random_values.hpp"

#include <forkflow/codec.hpp>

#include <algorithm>
#include <cstddef>

namespace forkflow_test {

// Decodes what may be damaged: any value or refusal will do, as long as nothing else happens.
template <class T>
void decode_damaged(const bytes& message) {
    try {
        forkflow::reader source(message);
        static_cast<void>(forkflow::decode<T>(source));
    } catch (const forkflow::not_decodable&) {
        SUCCEED();
    }
}

// Pointers are the same if they lead to the same, also in containers; adaptors, if they give the same.
template <class T>
bool same(const T& left, const T& right) {
    if constexpr (requires { left.begin()->get(); }) {
        return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                          [](const auto& one, const auto& other) { return same(one, other); });
    } else if constexpr (
        requires { *left; } && !requires { left.error(); }) { // an expected compares its error
        return static_cast<bool>(left) == static_cast<bool>(right) && (!left || same(*left, *right));
    } else if constexpr (requires { left == right; }) {
        return left == right;
    } else {
        T one = left;
        T other = right;
        while (!one.empty() && !other.empty() && one.top() == other.top()) {
            one.pop();
            other.pop();
        }
        return one.empty() && other.empty();
    }
}

template <class T>
void survives(random_source& source) {
    const T value = random_value<T>(source);
    const bytes message = encoded(value);
    CHECK(same(decoded<T>(message), value));
    const std::size_t step = std::max<std::size_t>(1, message.size() / 64);
    for (std::size_t size = 0; size < message.size(); size += step) {
        const bytes prefix(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
        forkflow::reader part(prefix);
        CHECK_THROWS_AS(forkflow::decode<T>(part), forkflow::not_decodable);
    }
    for (std::size_t at = 0; at < message.size(); at += step) {
        bytes damaged = message;
        damaged[at] ^= std::byte{1} << (source() % 8);
        decode_damaged<T>(damaged);
        damaged[at] = static_cast<std::byte>(source());
        decode_damaged<T>(damaged);
    }
}

} // namespace forkflow_test
