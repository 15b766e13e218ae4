// SPDX-License-Identifier: MIT
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/result_check.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace forkflow::nodes {
namespace {

// Odd, with as many ones as zeros, as a small factor would hardly stir; and apart, so that words cannot
// change places.
constexpr std::uint64_t salt_0 = 0xA0761D6478BD642FU;
constexpr std::uint64_t salt_1 = 0xE7037ED1A0B428DBU;
constexpr std::uint64_t salt_2 = 0x8EBC6AF09C88C6E3U;
constexpr std::uint64_t salt_3 = 0x589965CC75374CC3U;
constexpr std::size_t step_bytes = 8 * sizeof(std::uint64_t);
static_assert(check_block_bytes % step_bytes == 0);

/// One step of the checksum: both halves of a product of 128 bits, laid over each other. The idea is that of
/// Wang Yi's wyhash.
constexpr std::uint64_t stirred(std::uint64_t one, std::uint64_t other) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(one) * other;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t word_at(const std::byte* from, std::size_t index) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, from + index * sizeof value, sizeof value);
    return value;
}

/// What a block adds to the sum; equal ones in different places add something else.
std::uint64_t block_check(std::size_t index, std::span<const std::byte> bytes) noexcept {
    const std::uint64_t start = stirred(index ^ salt_0, salt_1);
    // Four, as each step waits for the one before it; and no array, which compilers keep in memory.
    std::uint64_t lane_0 = start;
    std::uint64_t lane_1 = start;
    std::uint64_t lane_2 = start;
    std::uint64_t lane_3 = start;
    const auto stir_in = [&](const std::byte* from) {
        lane_0 = stirred(word_at(from, 0) ^ salt_0, word_at(from, 1) ^ lane_0);
        lane_1 = stirred(word_at(from, 2) ^ salt_1, word_at(from, 3) ^ lane_1);
        lane_2 = stirred(word_at(from, 4) ^ salt_2, word_at(from, 5) ^ lane_2);
        lane_3 = stirred(word_at(from, 6) ^ salt_3, word_at(from, 7) ^ lane_3);
    };
    for (; bytes.size() >= step_bytes; bytes = bytes.subspan(step_bytes)) {
        stir_in(bytes.data());
    }
    if (!bytes.empty()) {
        std::array<std::byte, step_bytes> last{};
        std::memcpy(last.data(), bytes.data(), bytes.size());
        stir_in(last.data());
    }
    return stirred(stirred(lane_0 ^ salt_1, lane_1 ^ salt_2), stirred(lane_2 ^ salt_3, lane_3 ^ salt_0));
}

/// Of the blocks from `begin` to `end`, of which the last one of all may be shorter.
std::uint64_t sum_of_blocks(std::size_t begin, std::size_t end, std::span<const std::byte> bytes) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t block = begin; block < end; ++block) {
        const std::span<const std::byte> rest = bytes.subspan(block * check_block_bytes);
        sum += block_check(block, rest.first(std::min(rest.size(), check_block_bytes)));
    }
    return sum;
}

} // namespace

void copied_blocks::take_in(std::size_t offset, std::span<const std::byte> bytes) noexcept {
    if (stopped_) {
        return;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst); // not before they were copied
    const std::size_t begin = (offset + check_block_bytes - 1) / check_block_bytes;
    const std::size_t end = (offset + bytes.size()) / check_block_bytes;
    if (count_ == 0 || runs_[count_ - 1].begin != begin) {
        if (count_ == runs_.size() || begin >= end || (count_ > 0 && begin < runs_[count_ - 1].end)) {
            return;
        }
        runs_[count_++] = {.begin = begin, .end = begin};
    }
    run& last = runs_[count_ - 1];
    for (; last.end < end; ++last.end) {
        sum_ +=
            block_check(last.end, bytes.subspan(last.end * check_block_bytes - offset, check_block_bytes));
    }
}

void copied_blocks::copy(void* to, const void* from, std::size_t size, const void* in_result,
                         std::size_t offset) noexcept {
    // By less at a time, reading back what was just written takes longer.
    constexpr std::size_t most = 4 * check_block_bytes;
    for (std::size_t done = 0; done < size;) {
        const std::size_t piece = std::min(most, size - done);
        std::memcpy(static_cast<std::byte*>(to) + done, static_cast<const std::byte*>(from) + done, piece);
        done += piece;
        take_in(offset, {static_cast<const std::byte*>(in_result), done});
    }
}

std::uint64_t result_check(sequence number, result_kind kind, std::span<const std::byte> bytes,
                           const copied_blocks& copied) noexcept {
    const std::uint64_t head = std::uint64_t{number} | (static_cast<std::uint64_t>(kind) << 32U);
    const std::uint64_t start = stirred(head ^ salt_0, bytes.size() ^ salt_1);
    std::uint64_t sum = copied.sum_;
    std::size_t next = 0;
    for (const copied_blocks::run& run : std::span(copied.runs_).first(copied.count_)) {
        sum += sum_of_blocks(next, run.begin, bytes);
        next = run.end;
    }
    sum += sum_of_blocks(next, (bytes.size() + check_block_bytes - 1) / check_block_bytes, bytes);
    return stirred(sum ^ salt_2, start ^ salt_3);
}

} // namespace forkflow::nodes
