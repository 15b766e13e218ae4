// SPDX-License-Identifier: MIT
// Memory that the application fills and the workers read where it lies: a message that is a buffer, or has
// one within it, is not copied.
//
//     forkflow::ordered_process_node<forkflow::buffer, std::size_t> count(
//         g, tbb::flow::unlimited, [](std::span<const std::byte> image) { return count_faces(image); });
//     forkflow::buffer image = count.make_buffer(file_size);
//     read_file(image.bytes());
//     count.try_put(image);
//
// Within other messages it is a member like any other, and its codec joins as theirs do:
//
//     struct picture { int width; int height; forkflow::buffer pixels; };
//     template <> struct forkflow::codec<picture> : forkflow::aggregate_codec<picture> {};
#pragma once

#include <forkflow/codec.hpp>
#include <forkflow/nodes/message_references.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

namespace forkflow {
namespace detail {
template <class Input, class Output>
class message_stream;
} // namespace detail

/// A part of a pool's memory, made by make_buffer of its node or queue. Copies show the same bytes. The
/// memory is in use until the last copy is gone, and the outcome of each message that refers to it is out.
///
/// Do not change what a message refers to until its outcome is out: a worker may be reading it, and a retry
/// reads it again. Buffers go to workers, not back: a result that holds one is a failure (not_encodable). So
/// is a message with a buffer of another pool, or of a pool that has ended, as after a reset with
/// rf_reset_bodies; its bytes can still be read and written.
///
/// In a worker a buffer shows the same bytes, read-only: a body that writes to them crashes.
///
/// One buffer is for one thread at a time, copies of it are for any.
class buffer {
public:
    /// No bytes.
    buffer() noexcept = default;

    /// What it holds; to be written in the application only. The span is good as long as a copy lives.
    [[nodiscard]] std::span<std::byte> bytes() noexcept { return bytes_; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

    /// A buffer of `count` of these bytes, from `offset` on. Throws std::out_of_range. Shares the memory.
    [[nodiscard]] buffer part(std::size_t offset, std::size_t count) const {
        if (offset > size() || count > size() - offset) {
            throw std::out_of_range("forkflow: a part of a buffer must lie within it");
        }
        return buffer(block_, bytes_.subspan(offset, count));
    }

private:
    template <class, class>
    friend class detail::message_stream;
    friend struct codec<buffer>;

    buffer(std::shared_ptr<const nodes::buffer_memory::block> block, std::span<std::byte> bytes) noexcept
        : block_(std::move(block))
        , bytes_(bytes) {}

    std::shared_ptr<const nodes::buffer_memory::block> block_; ///< null: no bytes, or in a worker
    std::span<std::byte> bytes_;
};

/// On the wire: where in the pool's memory it lies, and how many bytes it has.
template <>
struct codec<buffer> : detail::leaf_codec {
    static void encode(const buffer& value, writer& to) {
        std::uint64_t offset = 0;
        if (value.block_) {
            nodes::message_references* const references = to.references();
            if (references == nullptr || &references->memory() != &value.block_->memory()) {
                throw std::invalid_argument(
                    "forkflow: a message refers to a buffer of another pool, or of one "
                    "that has ended");
            }
            references->keep(value.block_);
            offset = references->memory().offset_of(value.bytes_.data());
        } else if (!value.empty()) {
            throw std::invalid_argument("forkflow: a worker cannot send a buffer");
        }
        to.write_value(offset);
        to.write_value(std::uint64_t{value.size()});
    }

    static buffer decode(reader& from) {
        const std::span<const std::byte> bytes = decode_bytes(from);
        // Read-only memory, in a worker.
        return buffer(nullptr, {const_cast<std::byte*>(bytes.data()), bytes.size()}); // NOLINT
    }

    /// For bodies that take a std::span<const std::byte>.
    static std::span<const std::byte> decode_bytes(reader& from) {
        const auto offset = from.read_value<std::uint64_t>();
        return from.refer(offset, from.read_value<std::uint64_t>());
    }
};

} // namespace forkflow
