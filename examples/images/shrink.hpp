// SPDX-License-Identifier: MIT
// What is done to each picture: it is shrunk, and its tones are spread from black to white.
#pragma once

#include "picture.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace images {

/// The size of `from` when it is no wider than `width`: smaller, in the same proportion, or as it is.
struct size {
    std::size_t width = 0;
    std::size_t height = 0;
};
[[nodiscard]] size size_within(const pixels& from, std::size_t width);

/// Writes `from`, shrunk to `target`, to `samples`, which has exactly the bytes for that. Each new pixel is
/// the mean of those in its place.
void shrink(const pixels& from, size target, std::span<std::byte> samples);

/// How often each brightness occurs.
using histogram = std::array<std::uint32_t, 256>;
[[nodiscard]] histogram histogram_of(std::span<const std::byte> samples, std::size_t channels);

/// Changes the samples so that the darkest and the brightest two hundredth of the pixels become black and
/// white.
void spread_tones(std::span<std::byte> samples, const histogram& brightness);

} // namespace images
