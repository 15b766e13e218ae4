// SPDX-License-Identifier: MIT
// Messages that verify themselves: request and result follow from an index, so that any byte that is lost,
// torn or swapped shows.
#pragma once

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace forkflow_test {

struct message_head {
    std::uint64_t index;
    std::uint64_t producer;
};

/// The byte at `place` of the pattern that belongs to `seed`.
constexpr std::byte pattern_byte(std::uint64_t seed, std::size_t place) {
    return static_cast<std::byte>((seed * 0x9E3779B97F4A7C15U + place * 0x2545F4914F6CDD1DU) >> 56U);
}

/// How long request and result are behind their heads: some fit a slot and some need its extent.
constexpr std::size_t request_filler(std::uint64_t index) {
    return index * 37 % 500;
}
constexpr std::size_t result_filler(std::uint64_t index) {
    return index * 53 % 450;
}
/// Some results have no byte at all.
constexpr bool empty_result(std::uint64_t index) {
    return index % 13 == 7;
}

inline void write_pattern(forkflow::nodes::byte_writer& to, std::uint64_t seed, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        to.write_value(pattern_byte(seed, i));
    }
}

inline bool read_pattern(forkflow::nodes::byte_reader& from, std::uint64_t seed, std::size_t size) {
    bool same = from.remaining() == size;
    for (std::size_t i = 0; same && i < size; ++i) {
        same = from.read_value<std::byte>() == pattern_byte(seed, i);
    }
    return same;
}

inline void write_request(forkflow::nodes::byte_writer& to, message_head head) {
    to.write_value(head);
    write_pattern(to, head.index, request_filler(head.index));
}

/// What a body does with a message between decoding and encoding.
using inner_body = std::function<void(std::uint64_t index)>;

/// A worker body that checks its request, calls `inside`, and writes the result that belongs to the request:
/// `longer` by so many bytes.
inline forkflow::nodes::worker_body checking_body(inner_body inside = {}, std::size_t longer = 0) {
    return [inside = std::move(inside), longer](forkflow::nodes::worker_call& call) {
        const auto head = call.request.read_value<message_head>();
        if (!read_pattern(call.request, head.index, request_filler(head.index))) {
            throw forkflow::not_decodable("the request arrived damaged");
        }
        call.stage = forkflow::nodes::body_stage::running;
        if (inside) {
            inside(head.index);
        }
        call.stage = forkflow::nodes::body_stage::encoding;
        if (!empty_result(head.index)) {
            call.result.write_value(head);
            write_pattern(call.result, ~head.index, result_filler(head.index) + longer);
        }
    };
}

/// Empty if the result is the one that belongs to message `index`, else what is wrong. Tells who produced it.
inline std::string check_result(std::span<const std::byte> payload, std::uint64_t index,
                                std::uint64_t& producer, std::size_t longer = 0) {
    const std::string which = "the result of message " + std::to_string(index);
    if (empty_result(index)) {
        return payload.empty() ? "" : which + " should be empty";
    }
    forkflow::nodes::byte_reader from(payload);
    if (from.remaining() < sizeof(message_head)) {
        return which + " is too short";
    }
    const auto head = from.read_value<message_head>();
    producer = head.producer;
    if (head.index != index) {
        return which + " is that of message " + std::to_string(head.index);
    }
    return read_pattern(from, ~index, result_filler(index) + longer) ? "" : which + " is damaged";
}

} // namespace forkflow_test
