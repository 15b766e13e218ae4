// SPDX-License-Identifier: MIT
// The checksum that a worker hands in with a result, if results are to be verified.
#pragma once

#include <forkflow/nodes/sequence.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace forkflow::nodes {

enum class result_kind : std::uint32_t;

/// A result's checksum is a sum over blocks of so many bytes, counted from its start, the last one shorter:
/// so that blocks can be taken in one by one, whenever their bytes are in the processor's cache.
inline constexpr std::size_t check_block_bytes = 1024;

/// From so many bytes on it is worth while to take the checksum in pieces, as they are copied.
inline constexpr std::size_t least_checked_copy_bytes = std::size_t{32} << 10U;

/// What was taken in of a result's checksum while bytes of it were copied: of a few long stretches. Not
/// thread-safe.
class copied_blocks {
public:
    /// Takes in what lies within `bytes`, which the result has from `offset` on: whole blocks, and those of
    /// them that were not taken in before; so a stretch may be given again once it has grown. Stretches come
    /// in the order in which they lie; what comes when there have been too many is left out, for
    /// result_check.
    void take_in(std::size_t offset, std::span<const std::byte> bytes) noexcept;
    /// Copies `size` bytes, of the result or to it, and takes them in as they stand in it: at `in_result`,
    /// which is `to` or `from`, and `offset` from its start.
    void copy(void* to, const void* from, std::size_t size, const void* in_result,
              std::size_t offset) noexcept;
    void forget() noexcept { *this = {}; }
    /// From now on nothing is taken in, and nothing that was counts: for who looks at bytes more than once.
    void stop() noexcept {
        forget();
        stopped_ = true;
    }

private:
    friend std::uint64_t result_check(sequence, result_kind, std::span<const std::byte>,
                                      const copied_blocks&) noexcept;
    struct run {
        std::size_t begin = 0; ///< the first block
        std::size_t end = 0;   ///< behind the last one
    };

    bool stopped_ = false;
    std::size_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::array<run, 4> runs_{}; ///< of which `count_` are used
};

/// The checksum of the result of message `number`: of which message it is, of which kind, how long, and each
/// byte. Two results that differ have the same one in one of 2^64 cases; it does not keep out who computes it
/// anew. Cost: one pass over the bytes, 64 at a time, but for those that `copied` has taken in.
[[nodiscard]] std::uint64_t result_check(sequence number, result_kind kind, std::span<const std::byte> bytes,
                                         const copied_blocks& copied = {}) noexcept;

} // namespace forkflow::nodes
