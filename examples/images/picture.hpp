// SPDX-License-Identifier: MIT
// Pictures as their files hold them: binary PGM and PPM, and PNG.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace images {

/// The samples of a picture, 8 bits each: row by row, and in a row pixel by pixel.
struct pixels {
    std::size_t width = 0;
    std::size_t height = 0;
    std::size_t channels = 0; ///< 1: grey; 3: red, green, blue
    std::span<const std::byte> samples;

    [[nodiscard]] std::span<const std::byte> row(std::size_t y) const {
        return samples.subspan(y * width * channels, width * channels);
    }
};

/// A picture in a file that lies in memory. The samples of a PGM or PPM are seen where they lie; those of a
/// PNG have to be unpacked.
class picture {
public:
    /// `file` stays where it is as long as the picture is used. Throws std::runtime_error if it is none of
    /// these formats, or damaged.
    explicit picture(std::span<const std::byte> file);

    [[nodiscard]] const images::pixels& pixels() const noexcept { return pixels_; }

private:
    void read_pnm(std::span<const std::byte> file);
    void unpack_png(std::span<const std::byte> file);

    std::vector<std::byte> unpacked_; ///< of a PNG
    images::pixels pixels_;
};

/// What stands before the samples of a PGM (1 channel) or PPM (3 channels).
[[nodiscard]] std::string pnm_head(std::size_t width, std::size_t height, std::size_t channels);

} // namespace images
