// SPDX-License-Identifier: MIT
// Reading, shrinking and correcting pictures, without worker processes.
#include "picture.hpp"
#include "shrink.hpp"

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using namespace images;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::vector<std::byte> samples_of(const std::vector<int>& values) {
    std::vector<std::byte> samples;
    std::ranges::transform(values, std::back_inserter(samples), [](int value) { return std::byte(value); });
    return samples;
}

} // namespace

TEST_CASE("The samples of a PGM or PPM are seen where they lie, behind heads of any form") {
    const std::string grey = "P5 # a comment\n3\t2\n255\nabcdef";
    const picture first(bytes_of(grey));
    CHECK(first.pixels().channels == 1);
    CHECK(first.pixels().width == 3);
    CHECK(first.pixels().height == 2);
    CHECK(static_cast<const void*>(first.pixels().samples.data()) == grey.data() + grey.size() - 6);
    CHECK(first.pixels().row(1)[2] == std::byte{'f'});
    const std::string colours = pnm_head(1, 2, 3) + "abcdef and more";
    CHECK(picture(bytes_of(colours)).pixels().samples.size() == 6);
}

TEST_CASE("Damaged files are refused") {
    for (const std::string text :
         {"", "P", "P5", "P6\n", "P4\n1 1\n1", "P6\n1 1\n255\nab", "P6\n1 x\n255\nabc", "P6\n0 1\n255\n",
          "P6\n99999999999999999999 1\n255\nabc", "P6\n1000000 1000000\n255\nabc", "P6\n1 1\n65535\nabcdef",
          "P5 #", "\x89PNG\r\n\x1a\n", "GIF89a"}) {
        INFO(text);
        CHECK_THROWS_AS(picture(bytes_of(text)), std::runtime_error);
    }
}

TEST_CASE("A damaged head of a PPM is read as some picture within the file, or refused") {
    std::mt19937 random(1);
    for (int round = 0; round != 10'000; ++round) {
        std::string text = pnm_head(7, 5, 3) + std::string(7 * 5 * 3, 'x');
        for (int i = 0; i != 3; ++i) {
            text[random() % 12] = static_cast<char>(random());
        }
        try {
            const picture read(bytes_of(text));
            const pixels& found = read.pixels();
            REQUIRE(found.samples.size() == found.width * found.height * found.channels);
        } catch (const std::runtime_error&) {
            continue;
        }
    }
}

TEST_CASE("A pixel of the copy is the mean of those in its place") {
    const auto samples = samples_of({0, 2, 10, 20, 30, //
                                     4, 6, 30, 40, 50});
    const pixels from{5, 2, 1, samples};
    const size target = size_within(from, 2);
    CHECK(target.width == 2);
    CHECK(target.height == 1);
    std::vector<std::byte> copy(2);
    shrink(from, target, copy);
    CHECK(copy == samples_of({(0 + 2 + 4 + 6) / 4, (10 + 20 + 30 + 30 + 40 + 50) / 6}));
}

TEST_CASE("A picture that is narrow enough stays as it is") {
    const auto samples = samples_of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    const pixels from{2, 2, 3, samples};
    const size target = size_within(from, 100);
    std::vector<std::byte> copy(target.width * target.height * from.channels);
    shrink(from, target, copy);
    CHECK(copy == samples);
}

TEST_CASE("Tones are spread from black to white, but for outliers") {
    std::vector<int> values(1000, 100);
    std::fill(values.begin(), values.begin() + 500, 150);
    values[0] = 255; // one in a thousand
    values[1] = 0;
    auto samples = samples_of(values);
    spread_tones(samples, histogram_of(samples, 1));
    CHECK(samples[2] == std::byte{255});
    CHECK(samples[999] == std::byte{0});
    CHECK(samples[0] == std::byte{255});
    CHECK(samples[1] == std::byte{0});
    auto even = samples_of(std::vector<int>(10, 7));
    spread_tones(even, histogram_of(even, 1));
    CHECK(even == samples_of(std::vector<int>(10, 7)));
    std::vector<std::byte> none;
    spread_tones(none, histogram_of(none, 3));
    CHECK(none.empty());
}
