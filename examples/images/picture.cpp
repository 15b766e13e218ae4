// SPDX-License-Identifier: MIT
#include "picture.hpp"

#include <png.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace images {
namespace {

constexpr std::size_t most_pixels_a_side = 1U << 20U;

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_space(char character) {
    return std::isspace(static_cast<unsigned char>(character)) != 0;
}

/// Reads the numbers in the head of a PGM or PPM, with comments and spaces between them.
class head_reader {
public:
    explicit head_reader(std::string_view text)
        : rest_(text) {}

    std::size_t number(std::size_t most) {
        skip_spaces();
        std::size_t value = 0;
        bool any = false;
        for (; !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9' && value <= most;
             rest_.remove_prefix(1)) {
            value = value * 10 + static_cast<std::size_t>(rest_[0] - '0');
            any = true;
        }
        if (!any || value == 0 || value > most) {
            throw std::runtime_error("the head of the picture is damaged, or it is too large");
        }
        return value;
    }
    /// What follows the one character behind the last number.
    [[nodiscard]] std::string_view behind() const {
        return rest_.substr(std::min<std::size_t>(1, rest_.size()));
    }

private:
    void skip_spaces() {
        while (!rest_.empty() && (is_space(rest_[0]) || rest_[0] == '#')) {
            const std::size_t length = rest_[0] == '#' ? rest_.find('\n') : 1;
            rest_.remove_prefix(std::min(length, rest_.size()));
        }
    }

    std::string_view rest_;
};

} // namespace

picture::picture(std::span<const std::byte> file) {
    const std::string_view text = as_text(file);
    if (text.starts_with("P5") || text.starts_with("P6")) {
        read_pnm(file);
    } else if (text.starts_with("\x89PNG")) {
        unpack_png(file);
    } else {
        throw std::runtime_error("this is no PNG, PGM or PPM");
    }
}

void picture::read_pnm(std::span<const std::byte> file) {
    head_reader head(as_text(file.subspan(2)));
    pixels_.channels = file[1] == std::byte{'5'} ? 1 : 3;
    pixels_.width = head.number(most_pixels_a_side);
    pixels_.height = head.number(most_pixels_a_side);
    if (head.number(65535) != 255) {
        throw std::runtime_error("only pictures of 8 bits a sample are understood");
    }
    const std::size_t size_bytes = pixels_.width * pixels_.height * pixels_.channels;
    const std::size_t left_bytes = head.behind().size();
    if (size_bytes > left_bytes) {
        throw std::runtime_error("the picture ends too early");
    }
    pixels_.samples = file.last(left_bytes).first(size_bytes);
}

void picture::unpack_png(std::span<const std::byte> file) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    const std::unique_ptr<png_image, void (*)(png_image*)> freed(&image, png_image_free);
    const auto must = [&image](int done) {
        if (done == 0) {
            throw std::runtime_error(std::string("libpng: ") + image.message);
        }
    };
    must(png_image_begin_read_from_memory(&image, file.data(), file.size()));
    pixels_.channels = (image.format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1;
    image.format = pixels_.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    pixels_.width = image.width;
    pixels_.height = image.height;
    if (std::max(pixels_.width, pixels_.height) > most_pixels_a_side) {
        throw std::runtime_error("the picture is too large");
    }
    unpacked_.resize(pixels_.width * pixels_.height * pixels_.channels);
    const png_color behind_transparent_pixels{255, 255, 255};
    must(png_image_finish_read(&image, &behind_transparent_pixels, unpacked_.data(), 0, nullptr));
    pixels_.samples = unpacked_;
}

std::string pnm_head(std::size_t width, std::size_t height, std::size_t channels) {
    return (channels == 1 ? "P5\n" : "P6\n") + std::to_string(width) + ' ' + std::to_string(height) +
           "\n255\n";
}

} // namespace images
