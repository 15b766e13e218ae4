// SPDX-License-Identifier: MIT
// For bodies that write their result where it is sent from, instead of returning a value that is copied
// there:
//
//     forkflow::ordered_process_node<std::string, std::vector<float>> decode_audio(
//         g, tbb::flow::unlimited, [](std::string_view file, forkflow::result_writer<std::vector<float>>&
//         out) {
//             const std::span<float> samples = out.resize(count_samples(file));
//             decode_into(samples, file);
//         });
//
// The parent makes its std::vector<float> from what the body wrote.
#pragma once

#include <forkflow/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace forkflow {

/// Thrown to a body that asks for a result larger than `max_message_bytes`. It may pass through the body: the
/// message's failure is `too_large` in any case.
struct result_too_large : std::length_error {
    using std::length_error::length_error;
};

/// The place of a result of type Result: a std::basic_string or std::vector of trivially copyable elements
/// that need an alignment of at most 16 bytes, or a type whose codec says that it is `encoded_as` one of
/// these. A body that takes a `result_writer<Result>&` behind its message returns nothing; its result is
/// empty until it calls resize(). Such a body has one signature: it is not generic or overloaded. Not
/// thread-safe; valid until the body returns.
template <class Result>
class result_writer {
    using block_element = detail::block_element<Result>;
    static_assert(
        !std::is_void_v<block_element>,
        "forkflow: a result that is written in place is a std::string, a std::vector of trivially "
        "copyable elements, or a type whose codec has the member encoded_as that names one of them");
    static_assert(std::is_void_v<block_element> || detail::viewable_element<block_element>,
                  "forkflow: elements that are written in place need an alignment of at most 16 bytes");

public:
    using element_type = block_element;

    /// Writes to `to`, to which nothing was written yet: behind one byte, if one is given. Nodes make these;
    /// tests of a body may.
    explicit result_writer(writer& to, std::optional<std::uint8_t> first_byte = std::nullopt) noexcept
        : to_(to)
        , first_byte_(first_byte)
        , start_(start_behind(first_byte ? 1 : 0)) {}
    result_writer(const result_writer&) = delete;
    result_writer& operator=(const result_writer&) = delete;

    /// Makes the result `count` elements long, and gives them, to be written: the first ones are what they
    /// were before, new ones have any value. What was given before is no longer valid. The first call waits
    /// until the result is admitted, so that large results wait in their workers; call it as late as you can.
    /// Waiting does not count against the deadline. Throws result_too_large, and a
    /// std::bad_alloc if the system has no memory for it. Costs no copy if the elements
    /// stay, for which the last room of a too generous first call is given back by a last one.
    std::span<element_type> resize(std::size_t count) {
        constexpr std::size_t most = (std::numeric_limits<std::size_t>::max() - 32) / sizeof(element_type);
        const std::span<std::byte> all =
            to_.resize(start_ + (count < most ? count : most) * sizeof(element_type));
        if (to_.overflowed()) {
            throw result_too_large("forkflow: a result of " + std::to_string(count) + " elements of " +
                                   std::to_string(sizeof(element_type)) + " bytes is too large");
        }
        write_head(all, count);
        size_ = count;
        return {reinterpret_cast<element_type*>(all.data() + start_), count};
    }

    /// How many elements the result has.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    static std::size_t start_behind(std::size_t first_bytes) noexcept {
        const std::size_t alignment = detail::block_alignment<element_type>;
        return (first_bytes + sizeof(std::uint64_t) + alignment - 1) / alignment * alignment;
    }

    // As encode_block() writes it.
    void write_head(std::span<std::byte> all, std::uint64_t count) const noexcept {
        std::memset(all.data(), 0, start_);
        std::memcpy(all.data() + (first_byte_ ? 1 : 0), &count, sizeof(count));
        if (first_byte_) {
            all.front() = static_cast<std::byte>(*first_byte_);
        }
    }

    writer& to_;
    std::optional<std::uint8_t> first_byte_;
    std::size_t start_;
    std::size_t size_ = 0;
};

} // namespace forkflow
