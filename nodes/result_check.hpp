// SPDX-License-Identifier: MIT
// The checksum that a worker hands in with a result, if results are to be verified.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace forkflow::nodes {

/// One step of the checksum: both halves of a product of 128 bits, laid over each other. The idea is that of
/// Wang Yi's wyhash.
[[nodiscard]] constexpr std::uint64_t stirred(std::uint64_t one, std::uint64_t other) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(one) * other;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

/// The checksum of the result of message `number`: of which message it is, of which kind, how long, and each
/// byte. Two results that differ have the same one in one of 2^64 cases; it does not keep out who computes it
/// anew. Cost: one pass over the bytes, 64 at a time.
[[nodiscard]] inline std::uint64_t result_check(sequence number, result_kind kind,
                                                std::span<const std::byte> bytes) noexcept {
    // Odd, with as many ones as zeros, as a small factor would hardly stir; and apart, so that words cannot
    // change places.
    constexpr std::array<std::uint64_t, 4> salt{0xA0761D6478BD642FU, 0xE7037ED1A0B428DBU, 0x8EBC6AF09C88C6E3U,
                                                0x589965CC75374CC3U};
    constexpr std::size_t block_bytes = 2 * sizeof(std::uint64_t) * salt.size();
    const std::uint64_t head = std::uint64_t{number} | (static_cast<std::uint64_t>(kind) << 32U);
    const std::uint64_t start = stirred(head ^ salt[0], bytes.size() ^ salt[1]);
    std::array<std::uint64_t, 4> lanes{start, start, start,
                                       start}; // as each step waits for the one before it
    const auto stir_in = [&](const std::byte* from) {
        const auto word = [from](std::size_t index) {
            std::uint64_t value = 0;
            std::memcpy(&value, from + index * sizeof value, sizeof value);
            return value;
        };
        // Not in a loop: compilers that leave it one keep the lanes in memory, and take twice as long.
        lanes[0] = stirred(word(0) ^ salt[0], word(1) ^ lanes[0]);
        lanes[1] = stirred(word(2) ^ salt[1], word(3) ^ lanes[1]);
        lanes[2] = stirred(word(4) ^ salt[2], word(5) ^ lanes[2]);
        lanes[3] = stirred(word(6) ^ salt[3], word(7) ^ lanes[3]);
    };
    for (; bytes.size() >= block_bytes; bytes = bytes.subspan(block_bytes)) {
        stir_in(bytes.data());
    }
    if (!bytes.empty()) {
        std::array<std::byte, block_bytes> last{};
        std::memcpy(last.data(), bytes.data(), bytes.size());
        stir_in(last.data());
    }
    return stirred(stirred(lanes[0] ^ salt[1], lanes[1] ^ salt[2]),
                   stirred(lanes[2] ^ salt[3], lanes[3] ^ salt[0]) ^ start);
}

} // namespace forkflow::nodes
