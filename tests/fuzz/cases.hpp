// SPDX-License-Identifier: MIT
// What is done with bytes from anywhere: they are decoded, as a parent decodes what a broken worker left.
// They may be refused; else what was decoded must survive another journey. Never more memory is taken than
// the bytes justify, and nothing outside of them is read (which the address sanitizer sees).
#pragma once

#include "counted_memory.hpp"
#include "support/encoded.hpp"
#include "support/random_values.hpp"

#include <forkflow/codec.hpp>
#include <forkflow/detail/body_call.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace forkflow_fuzz {

using forkflow_test::bytes;
using forkflow_test::encoded;
using forkflow_test::random_source;
using forkflow_test::random_value;

// The types of the cases need at most this much for a byte, what they throw away when they grow included.
inline constexpr std::size_t bytes_for_a_byte = 256;
inline constexpr std::size_t bytes_for_none = std::size_t{16} << 10U;

/// Calls `decode`; nothing if it refuses.
template <class Decode>
auto unless_refused(const bytes& message, Decode decode)
    -> std::optional<decltype(decode(std::declval<forkflow::reader&>()))> {
    const memory_budget budget(message.size() * bytes_for_a_byte + bytes_for_none);
    forkflow::reader from(message);
    try {
        return decode(from);
    } catch (const std::runtime_error&) { // not_decodable, and cereal's; not bad_alloc or a logic_error
        return std::nullopt;
    }
}

/// A T from anywhere.
template <class T>
struct round_trip {
    static bytes seed(random_source& source) { return encoded(random_value<T>(source)); }

    static void run(const bytes& message) {
        const std::optional<T> first = unless_refused(message, forkflow::decode<T>);
        if (first) {
            const bytes again = encoded(*first);
            if (encoded(forkflow_test::decoded<T>(again)).size() != again.size()) {
                throw std::logic_error("what was decoded does not survive");
            }
        }
    }
};

/// A View into the encoding of an Input from anywhere; all that it shows is read.
template <class Input, class View>
struct in_place {
    static bytes seed(random_source& source) { return encoded(random_value<Input>(source)); }

    static void run(const bytes& message) {
        static_cast<void>(unless_refused(
            message, [](forkflow::reader& from) { return sum_of(forkflow::decode_as<Input, View>(from)); }));
    }

    static unsigned sum_of(const auto& view) {
        if constexpr (requires { view.parts(); }) {
            return std::apply([](const auto&... parts) { return (0U + ... + sum_of(parts)); }, view.parts());
        } else {
            unsigned sum = 0;
            for (const std::byte byte : std::as_bytes(std::span(view.data(), view.size()))) {
                sum += std::to_integer<unsigned>(byte);
            }
            return sum;
        }
    }
};

/// A result from anywhere, as the parent of a node decodes it; and a request, as a worker runs it.
template <class Input, class Output, class Body>
struct call {
    using messages = forkflow::detail::call_of<Input, Output, Body>;

    static bytes seed(random_source& source) {
        alignas(16) std::array<std::byte, std::size_t{64} << 10U> area;
        forkflow::writer to(area, {});
        messages::encode_request(to, random_value<Input>(source));
        return bytes(to.written().begin(), to.written().end());
    }

    static void run(const bytes& message) {
        static_cast<void>(
            unless_refused(message, [](forkflow::reader& from) { return messages::decode_result(from); }));
        static_cast<void>(unless_refused(message, [](forkflow::reader& from) {
            alignas(16) std::array<std::byte, std::size_t{64} << 10U> area;
            forkflow::writer to(area, {});
            forkflow::nodes::worker_call called{.request = from, .result = to};
            Body body{};
            messages::run(body, called);
            forkflow::reader result(to.written());
            return to.overflowed() || (messages::decode_result(result), true);
        }));
    }
};

/// Cases, told apart by the first byte of the input.
template <class... Cases>
struct tier {
    static constexpr std::size_t size = sizeof...(Cases);

    static bytes seed(std::size_t which, random_source& source) {
        bytes (*const seeds[])(random_source&) = {Cases::seed...};
        bytes input = seeds[which](source);
        input.insert(input.begin(), static_cast<std::byte>(which));
        return input;
    }

    static void run(std::span<const std::byte> input) {
        void (*const runs[])(const bytes&) = {Cases::run...};
        if (!input.empty()) {
            runs[std::to_integer<std::size_t>(input.front()) % size](bytes(input.begin() + 1, input.end()));
        }
    }
};

} // namespace forkflow_fuzz
