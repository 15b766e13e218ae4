// SPDX-License-Identifier: MIT
// Reading and writing the bytes of one request or result, in memory that another process shares.
//
// Every payload starts at an address that is a multiple of payload_alignment, in the process that writes it
// as in the one that reads it; so what is aligned here is aligned there, and can be used in place.
#pragma once

#include <forkflow/nodes/result_check.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace forkflow {

/// Thrown when bytes are not the encoding of the value that is asked for: too few of them, a length or an
/// index that cannot be right, or nesting without end. Codecs of users may throw it as well.
struct not_decodable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

namespace nodes {

/// Alignment, in bytes, of the first byte of each payload; the largest that byte_writer::align() can give.
inline constexpr std::size_t payload_alignment = 16;

/// How many byte_reader::nesting or byte_writer::nesting may be held at once.
inline constexpr std::size_t max_nesting = 512;

/// One level of a nested value; the level ends with the object.
class nesting {
public:
    explicit nesting(std::size_t& depth) noexcept
        : depth_(depth) {
        ++depth_;
    }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    ~nesting() { --depth_; }

private:
    std::size_t& depth_;
};

/// Where a reader notes what was copied; or nowhere. Who copies the reader may look at bytes twice, and find
/// other ones; so from then on nothing counts as noted, and the payload is verified as a whole.
class copy_notes {
public:
    explicit copy_notes(copied_blocks* blocks) noexcept
        : blocks_(blocks) {}
    copy_notes(const copy_notes& other) noexcept
        : blocks_(other.blocks_) {
        stop();
    }
    copy_notes& operator=(const copy_notes& other) noexcept {
        if (this != &other) {
            stop();
            blocks_ = other.blocks_;
            stop();
        }
        return *this;
    }
    ~copy_notes() = default;

    [[nodiscard]] copied_blocks* blocks() const noexcept { return blocks_; }
    void stop() const noexcept {
        if (blocks_ != nullptr) {
            blocks_->stop();
        }
    }

private:
    copied_blocks* blocks_;
};

/// Reads values from bytes that another process wrote, and may go on writing while they are read.
///
/// Nothing is read outside of the bytes given. Each value is copied once, and then only the copy counts, so a
/// writer that changes it later cannot get past a check. A read that is refused moves nothing.
/// Not thread-safe. A read costs one comparison and the copy.
class byte_reader {
public:
    /// Reads from `bytes`: a payload from its start, or any part of one where it lies. They stay where they
    /// are for as long as the reader, and the views it gave, are used.
    /// `shared`: what the payload may refer to. `copied`: where to note what was copied; `bytes` are a whole
    /// payload then.
    explicit byte_reader(std::span<const std::byte> bytes, std::span<const std::byte> shared = {},
                         copied_blocks* copied = nullptr) noexcept
        : begin_(bytes.data())
        , next_(bytes.data())
        , end_(bytes.data() + bytes.size())
        , shared_(shared)
        , copied_(copied) {}

    /// Copies the next `size` bytes to `to`. Throws not_decodable if fewer are left.
    void read(void* to, std::size_t size) {
        const std::byte* from = advance(size);
        if (notes_copies_of(size)) [[unlikely]] {
            copied_.blocks()->copy(to, from, size, from, offset_of(from));
        } else if (size != 0) {
            std::memcpy(to, from, size);
        }
        // Without this the compiler might fetch the source again instead of keeping what was copied.
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    /// Copies the next sizeof(T) bytes into a T. Throws not_decodable if fewer are left, or if T is bool and
    /// the byte is neither 0 nor 1; the bytes of other types are taken as they are.
    template <class T>
    [[nodiscard]] T read_value() {
        static_assert(std::is_trivially_copyable_v<T>, "forkflow: only trivially copyable types are bytes");
        if constexpr (std::is_same_v<std::remove_cv_t<T>, bool>) {
            const auto value = read_value<unsigned char>();
            if (value > 1) {
                throw not_decodable("forkflow: a truth value is neither 0 nor 1");
            }
            return value == 1;
        } else if constexpr (std::is_nothrow_default_constructible_v<T> && !std::is_const_v<T>) {
            return overwritten<T>();
        } else {
            struct {
                alignas(T) std::byte bytes[sizeof(T)];
            } raw;
            read(&raw, sizeof(T));
            return std::bit_cast<T>(raw);
        }
    }

    /// The next `size` bytes in place, without a copy. Throws not_decodable if fewer are left.
    /// What is checked in such a view may change after the check.
    [[nodiscard]] std::span<const std::byte> take(std::size_t size) { return {advance(size), size}; }

    /// True if `size` bytes are so many that who copies them in pieces, and says so after each, spares
    /// another pass over them.
    [[nodiscard]] bool notes_copies_of(std::size_t size) const noexcept {
        return size >= least_checked_copy_bytes && copied_.blocks() != nullptr;
    }
    /// These bytes, or the first of them, were copied from where take() found them, and nobody will look at
    /// them there again.
    void was_copied(std::span<const std::byte> bytes) noexcept {
        if (copied_.blocks() != nullptr) {
            copied_.blocks()->take_in(offset_of(bytes.data()), bytes);
        }
    }

    /// True if the payload may refer to something: then it is a request, which comes from the parent.
    [[nodiscard]] bool may_refer() const noexcept { return shared_.data() != nullptr; }

    /// The `size` bytes at `offset` of what the payload may refer to. Throws not_decodable if they are not
    /// within it.
    [[nodiscard]] std::span<const std::byte> refer(std::uint64_t offset, std::uint64_t size) const {
        if (offset > shared_.size() || size > shared_.size() - offset) [[unlikely]] {
            throw not_decodable("forkflow: a message refers to bytes where there are none");
        }
        return shared_.subspan(offset, size);
    }

    /// Skips to the next address that is a multiple of `alignment`: a power of two, at most
    /// payload_alignment. Throws not_decodable if that lies behind the end.
    void align(std::size_t alignment) {
        assert(std::has_single_bit(alignment) && alignment <= payload_alignment);
        advance((0 - reinterpret_cast<std::uintptr_t>(next_)) & (alignment - 1));
    }

    /// How many bytes are left.
    [[nodiscard]] std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - next_); }

    /// The bytes that are left, in place; they stay unread.
    [[nodiscard]] std::span<const std::byte> rest() const noexcept {
        copied_.stop();
        return {next_, remaining()};
    }

    /// Opens a level of a nested value. Throws not_decodable if max_nesting levels are open.
    [[nodiscard]] nesting enter() {
        if (depth_ == max_nesting) [[unlikely]] {
            too_deep();
        }
        return nesting(depth_);
    }

private:
    // A function of its own, so that compilers make the value where it is returned to.
    template <class T>
    T overwritten() {
        T value;
        read(std::addressof(value), sizeof(T));
        return value;
    }

    const std::byte* advance(std::size_t size) {
        if (size > remaining()) [[unlikely]] {
            too_few(size);
        }
        const std::byte* const from = next_;
        next_ += size;
        return from;
    }

    [[nodiscard]] std::size_t offset_of(const std::byte* place) const noexcept {
        return static_cast<std::size_t>(place - begin_);
    }

    [[noreturn, gnu::cold, gnu::noinline]] void too_few(std::size_t wanted) const {
        throw not_decodable("forkflow: a message ends too early: " + std::to_string(wanted) +
                            " bytes expected, " + std::to_string(remaining()) + " left");
    }

    [[noreturn, gnu::cold, gnu::noinline]] static void too_deep() {
        throw not_decodable("forkflow: a message is nested deeper than " + std::to_string(max_nesting) +
                            " levels");
    }

    const std::byte* begin_;
    const std::byte* next_;
    const std::byte* end_;
    std::size_t depth_ = 0;
    std::span<const std::byte> shared_;
    copy_notes copied_;
};

class message_references;

/// Writes values as bytes: into a small area first; what outgrows it moves once to a large one; what outgrows
/// that is counted and no longer written, so that the size it would have had can be reported.
///
/// Not thread-safe. A write that fits costs one comparison and the copy. The extent is not touched, not even
/// its first page, by what fits the inline area, and no further than `ask_for_room` allows.
class byte_writer {
public:
    /// Where a payload is written. Both areas start at multiples of payload_alignment, and may be empty; the
    /// extent is to hold whole payloads, what was in the inline area included.
    struct areas {
        std::span<std::byte> inline_area;
        std::span<std::byte> extent;
    };
    /// Called with the constructor's context.
    using areas_hook = areas (*)(void* context);
    /// The same; `bytes` of the extent are wanted, from its start. Returns how many may be used: so many, or
    /// more.
    using room_hook = std::size_t (*)(void* context, std::size_t bytes);

    /// `ask_for_room`, if any, is called before more of the extent is used than it has allowed; what it
    /// throws, the write throws. `references`: of a request, what it may refer to.
    byte_writer(std::span<std::byte> inline_area, std::span<std::byte> extent, void* context = nullptr,
                room_hook ask_for_room = nullptr, message_references* references = nullptr) noexcept
        : context_(context)
        , ask_for_room_(ask_for_room)
        , references_(references) {
        start_in({inline_area, extent});
    }
    /// `find_areas` is called once, before the first byte is written (even if that byte is only counted); if
    /// it throws, so does the write, and the next write calls it again. `copied`: where to note long
    /// stretches that were copied and stay as they are.
    byte_writer(areas_hook find_areas, void* context, room_hook ask_for_room = nullptr,
                copied_blocks* copied = nullptr) noexcept
        : find_areas_(find_areas)
        , context_(context)
        , ask_for_room_(ask_for_room)
        , copied_(copied) {}
    byte_writer(const byte_writer&) = delete;
    byte_writer& operator=(const byte_writer&) = delete;

    /// Appends `size` bytes from `from`; if no area has room for them, only counts them. `from` is not read
    /// if `size` is 0. Throws only what the hooks throw.
    void write(const void* from, std::size_t size) {
        // Size 0 wraps round and takes the other way, so that memcpy never sees a null pointer.
        if (size - 1 < static_cast<std::size_t>(end_ - next_)) [[likely]] {
            std::memcpy(next_, from, size);
            next_ += size;
        } else {
            write_without_room(from, size);
        }
    }

    /// Appends the sizeof(T) bytes of `value`.
    template <class T>
    void write_value(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>, "forkflow: only trivially copyable types are bytes");
        write(std::addressof(value), sizeof(T));
    }

    /// Appends zero bytes until size() is a multiple of `alignment`: a power of two, at most
    /// payload_alignment.
    void align(std::size_t alignment) {
        assert(std::has_single_bit(alignment) && alignment <= payload_alignment);
        static constexpr std::byte zeros[payload_alignment] = {};
        write(zeros, (0 - size()) & (alignment - 1));
    }

    /// Makes size() `size`: forgets what lies behind it, or appends bytes that may have any value; what was
    /// written before stays, but may move. Gives all that is written then, to be changed in place until the
    /// next call of a member; nothing if no area has room for it, or if there was an overflow before. Asks
    /// the hooks as a write does, unless `size` is 0. Throws only what the hooks throw.
    std::span<std::byte> resize(std::size_t size) {
        if (size != 0) {
            open();
        }
        forget_copied();
        const std::size_t before = this->size();
        if (size > before) {
            append(size - before);
        } else if (!overflowed_) {
            shrink(size);
        }
        return {begin_, next_};
    }

    /// How many bytes were written, or, once overflowed(), would have been written.
    [[nodiscard]] std::size_t size() const noexcept {
        return counted_ + static_cast<std::size_t>(next_ - begin_);
    }

    /// Whether more was to be written than the extent holds.
    [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }

    /// Whether what was written moved to the extent: so it is if size() exceeds the inline area, but not the
    /// extent.
    [[nodiscard]] bool in_extent() const noexcept {
        return begin_ != nullptr && begin_ == extent_.data() && !extent_.empty();
    }

    /// What was written, at the start of the inline area or of the extent; nothing once overflowed().
    [[nodiscard]] std::span<const std::byte> written() const noexcept { return {begin_, next_}; }

    /// Where codecs note what the message refers to; null if it can refer to nothing.
    [[nodiscard]] message_references* references() const noexcept { return references_; }

    /// Forgets what was written and starts anew at size 0. The hook, once called, is not called again.
    void rewind() noexcept {
        forget_copied();
        counted_ = 0;
        overflowed_ = false;
        if (find_areas_ == nullptr) {
            start_in_inline_area();
        }
    }

    /// Calls the hook now unless it was called before: for payloads that may have no byte at all.
    void open() {
        if (find_areas_ != nullptr) {
            const areas found = find_areas_(context_);
            find_areas_ = nullptr;
            start_in(found);
        }
    }

    /// Opens a level of a nested value. Throws std::length_error if max_nesting levels are open: nobody could
    /// decode it, and a chain of pointers that closes to a ring would not end.
    [[nodiscard]] nesting enter() {
        if (depth_ == max_nesting) [[unlikely]] {
            too_deep();
        }
        return nesting(depth_);
    }

private:
    [[noreturn, gnu::cold, gnu::noinline]] static void too_deep() {
        throw std::length_error("forkflow: a message is nested deeper than " + std::to_string(max_nesting) +
                                " levels, or refers to itself");
    }

    // Until the hook was called there is no room, so that the first write comes here without a test of its
    // own.
    [[gnu::noinline]] void write_without_room(const void* from, std::size_t size) {
        if (size == 0) {
            return;
        }
        open();
        if (size > static_cast<std::size_t>(end_ - next_) && !make_room(size)) {
            count(size);
            return;
        }
        if (size >= least_checked_copy_bytes && copied_ != nullptr) {
            // As it stands there, and not as the source is: others may write to that.
            copied_->copy(next_, from, size, next_, this->size());
        } else {
            std::memcpy(next_, from, size);
        }
        next_ += size;
    }

    void forget_copied() noexcept {
        if (copied_ != nullptr) {
            copied_->forget();
        }
    }

    /// Moves to the extent, or goes on in it, if `size` more bytes fit there.
    bool make_room(std::size_t size) {
        const auto used = static_cast<std::size_t>(next_ - begin_);
        if (overflowed_ || used > extent_.size() || size > extent_.size() - used) {
            return false;
        }
        if (used + size > room_) {
            room_ = std::min(ask_for_room_(context_, used + size), extent_.size());
        }
        if (used != 0 && !in_extent()) {
            std::memcpy(extent_.data(), begin_, used);
        }
        begin_ = extent_.data();
        next_ = begin_ + used;
        end_ = begin_ + room_;
        return true;
    }

    // Once there was an overflow there is no room, and so no way back.
    void append(std::size_t size) {
        if (size <= static_cast<std::size_t>(end_ - next_) || make_room(size)) {
            next_ += size;
        } else {
            count(size);
        }
    }

    // What fits the inline area lies there: so readers know where to look.
    void shrink(std::size_t size) noexcept {
        std::byte* const from = begin_;
        if (in_extent() && size <= inline_area_.size()) {
            start_in_inline_area();
            if (size != 0) {
                std::memcpy(begin_, from, size);
            }
        }
        next_ = begin_ + size;
    }

    void count(std::size_t size) noexcept {
        const std::size_t before = this->size();
        counted_ = before + std::min(size, std::numeric_limits<std::size_t>::max() - before);
        overflowed_ = true;
        begin_ = next_ = end_ = nullptr;
    }

    void start_in(const areas& found) noexcept {
        inline_area_ = found.inline_area;
        extent_ = found.extent;
        room_ = ask_for_room_ == nullptr ? extent_.size() : 0;
        assert(reinterpret_cast<std::uintptr_t>(inline_area_.data()) % payload_alignment == 0);
        assert(reinterpret_cast<std::uintptr_t>(extent_.data()) % payload_alignment == 0);
        start_in_inline_area();
    }

    void start_in_inline_area() noexcept {
        begin_ = next_ = inline_area_.data();
        end_ = begin_ + inline_area_.size();
    }

    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
    std::byte* begin_ = nullptr;
    std::size_t counted_ = 0;
    std::size_t depth_ = 0;
    bool overflowed_ = false;
    std::span<std::byte> inline_area_;
    std::span<std::byte> extent_;
    areas_hook find_areas_ = nullptr; ///< until the areas are known
    void* context_;
    room_hook ask_for_room_;
    std::size_t room_ = 0; ///< so many bytes of the extent may be used
    message_references* references_ = nullptr;
    copied_blocks* copied_ = nullptr;
};

} // namespace nodes
} // namespace forkflow
