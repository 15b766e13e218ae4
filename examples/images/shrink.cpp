// SPDX-License-Identifier: MIT
#include "shrink.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace images {
namespace {

/// Where the part of `index` begins if `whole` is cut into `parts`.
std::size_t start_of(std::size_t index, std::size_t whole, std::size_t parts) {
    return index * whole / parts;
}

/// The first brightness at which `count` pixels, those before included, are passed.
std::size_t passed(const histogram& brightness, std::uint64_t count) {
    std::uint64_t sum = 0;
    std::size_t at = 0;
    while (at < brightness.size() - 1 && (sum += brightness[at]) <= count) {
        ++at;
    }
    return at;
}

} // namespace

size size_within(const pixels& from, std::size_t width) {
    const std::size_t new_width = std::min(width, from.width);
    return {new_width, std::max<std::size_t>(1, (from.height * new_width + from.width / 2) / from.width)};
}

void shrink(const pixels& from, size target, std::span<std::byte> samples) {
    std::vector<std::uint32_t> sums(target.width * from.channels); // of one row of what is written
    for (std::size_t y = 0; y != target.height; ++y) {
        std::ranges::fill(sums, 0U);
        const std::size_t first_row = start_of(y, from.height, target.height);
        const std::size_t end_row = start_of(y + 1, from.height, target.height);
        for (std::size_t row = first_row; row != end_row; ++row) {
            const std::byte* next = from.row(row).data();
            for (std::size_t x = 0; x != target.width; ++x) {
                const std::byte* const end =
                    from.row(row).data() + start_of(x + 1, from.width, target.width) * from.channels;
                while (next != end) {
                    for (std::size_t channel = 0; channel != from.channels; ++channel) {
                        sums[x * from.channels + channel] += std::to_integer<std::uint32_t>(*next++);
                    }
                }
            }
        }
        for (std::size_t x = 0; x != target.width; ++x) {
            const std::size_t columns =
                start_of(x + 1, from.width, target.width) - start_of(x, from.width, target.width);
            const auto pixels_in_place = static_cast<std::uint32_t>(columns * (end_row - first_row));
            for (std::size_t channel = 0; channel != from.channels; ++channel) {
                const std::size_t at = x * from.channels + channel;
                samples[y * sums.size() + at] = static_cast<std::byte>(sums[at] / pixels_in_place);
            }
        }
    }
}

histogram histogram_of(std::span<const std::byte> samples, std::size_t channels) {
    histogram brightness{};
    for (std::size_t at = 0; at + channels <= samples.size(); at += channels) {
        const auto value = [&](std::size_t channel) {
            return std::to_integer<std::size_t>(samples[at + channel]);
        };
        ++brightness[channels == 1 ? value(0) : (value(0) * 2 + value(1) * 5 + value(2)) / 8];
    }
    return brightness;
}

void spread_tones(std::span<std::byte> samples, const histogram& brightness) {
    const std::uint64_t all = std::accumulate(brightness.begin(), brightness.end(), std::uint64_t{0});
    const std::size_t black = passed(brightness, all / 200);
    const std::size_t white = passed(brightness, all - all / 200 - (all != 0 ? 1 : 0));
    if (black >= white) {
        return; // of one tone
    }
    std::array<std::byte, 256> changed{};
    for (std::size_t tone = 0; tone != changed.size(); ++tone) {
        const std::size_t above_black = std::clamp(tone, black, white) - black;
        changed[tone] = static_cast<std::byte>(above_black * 255 / (white - black));
    }
    std::ranges::transform(samples, samples.begin(),
                           [&](std::byte tone) { return changed[std::to_integer<std::size_t>(tone)]; });
}

} // namespace images
