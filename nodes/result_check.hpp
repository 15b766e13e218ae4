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

/// One step of the checksum. Each `word` leads to another outcome, and so does each `so_far`: what differs in
/// one word differs to the end.
[[nodiscard]] constexpr std::uint64_t stirred(std::uint64_t so_far, std::uint64_t word) noexcept {
    const std::uint64_t product = (so_far ^ word) * 0x9E3779B97F4A7C15U;
    return product ^ (product >> 32U);
}

/// The checksum of the result of message `number`: of which message it is, of which kind, how long, and each
/// byte. It finds every change of up to eight neighbouring bytes within a word, and any other but for one in
/// 2^64; it does not keep out who computes it anew. Cost: one pass over the bytes, 32 at a time.
[[nodiscard]] inline std::uint64_t result_check(sequence number, result_kind kind,
                                                std::span<const std::byte> bytes) noexcept {
    constexpr std::uint64_t beginning = 0xD6E8FEB86659FD93U; // so that fresh memory is no empty result
    const std::uint64_t head = std::uint64_t{number} | (static_cast<std::uint64_t>(kind) << 32U);
    const std::uint64_t start = stirred(stirred(beginning, head), bytes.size());
    // Lanes, as each step waits for the one before it; they begin apart, so that words cannot change places.
    std::array<std::uint64_t, 4> lanes{stirred(start, 1), stirred(start, 2), stirred(start, 3),
                                       stirred(start, 4)};
    std::array<std::uint64_t, 4> words{};
    const auto stir_in = [&](std::span<const std::byte> part) {
        std::memcpy(words.data(), part.data(), part.size());
        for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
            lanes[lane] = stirred(lanes[lane], words[lane]);
        }
    };
    for (; bytes.size() >= sizeof words; bytes = bytes.subspan(sizeof words)) {
        stir_in(bytes.first(sizeof words));
    }
    if (!bytes.empty()) {
        words.fill(0);
        stir_in(bytes);
    }
    return stirred(stirred(stirred(lanes[0], lanes[1]), lanes[2]), lanes[3]);
}

} // namespace forkflow::nodes
