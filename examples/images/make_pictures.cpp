// SPDX-License-Identifier: MIT
// make_pictures FOLDER COUNT WIDTH HEIGHT: draws pictures to try the example with, each as a PPM and as a
// PNG. They look like dull photographs: soft shapes, some grain, no black and no white.
#include "picture.hpp"

#include <png.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::vector<std::uint8_t> drawn(std::size_t width, std::size_t height, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> some(0.0, 6.28);
    const double phases[] = {some(random), some(random), some(random)};
    std::vector<std::uint8_t> samples;
    samples.reserve(width * height * 3);
    for (std::size_t y = 0; y != height; ++y) {
        for (std::size_t x = 0; x != width; ++x) {
            const double across = static_cast<double>(x) / static_cast<double>(width) * 9;
            const double down = static_cast<double>(y) / static_cast<double>(height) * 7;
            for (const double phase : phases) {
                const double tone = std::sin(across + phase) * std::cos(down - phase) * 50 + 120;
                samples.push_back(static_cast<std::uint8_t>(tone + static_cast<double>(random() % 8)));
            }
        }
    }
    return samples;
}

void write_ppm(const std::string& path, std::size_t width, std::size_t height,
               const std::vector<std::uint8_t>& samples) {
    std::ofstream file(path, std::ios::binary);
    file << images::pnm_head(width, height, 3);
    file.write(reinterpret_cast<const char*>(samples.data()), static_cast<std::streamsize>(samples.size()));
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

void write_png(const std::string& path, std::size_t width, std::size_t height,
               const std::vector<std::uint8_t>& samples) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = PNG_FORMAT_RGB;
    image.flags = PNG_IMAGE_FLAG_FAST;
    if (png_image_write_to_file(&image, path.c_str(), 0, samples.data(), 0, nullptr) == 0) {
        throw std::runtime_error(image.message);
    }
}

} // namespace

int main(int argc, char* argv[]) {
    try {
        if (argc != 5) {
            throw std::runtime_error("usage: make_pictures FOLDER COUNT WIDTH HEIGHT");
        }
        const std::filesystem::path folder = argv[1];
        const std::size_t width = std::stoul(argv[3]);
        const std::size_t height = std::stoul(argv[4]);
        std::filesystem::create_directories(folder);
        for (unsigned i = 0; i != std::stoul(argv[2]); ++i) {
            const std::vector<std::uint8_t> samples = drawn(width, height, i);
            const std::string name = folder / ("picture" + std::to_string(i));
            write_ppm(name + ".ppm", width, height, samples);
            write_png(name + ".png", width, height, samples);
        }
        return 0;
    } catch (const std::exception& failed) {
        std::cerr << "make_pictures: " << failed.what() << '\n';
        return 1;
    }
}
