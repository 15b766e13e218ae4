// SPDX-License-Identifier: MIT
// Bodies see their request where it lies, and write their result where it is sent from.
#include "codec_types.hpp"
#include "support/catch.hpp"
#include "support/encoded.hpp"

#include <forkflow/codec.hpp>
#include <forkflow/result_writer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace codec_views_test {

using namespace codec_types;
using forkflow::not_decodable;
using forkflow_test::bytes;
using forkflow_test::decoded;
using forkflow_test::encoded;

namespace {

// An owner that is encoded as a vector of bytes is, and a view of it.
struct image {
    std::vector<std::byte> pixels;
    bool operator==(const image&) const = default;
};
struct image_view {
    std::span<const std::byte> pixels;
};

bool inside(const void* at, std::span<const std::byte> message) {
    return at >= message.data() && at < message.data() + message.size();
}

} // namespace

} // namespace codec_views_test

template <>
struct forkflow::codec<codec_views_test::image> {
    using encoded_as = std::vector<std::byte>;
    static void encode(const codec_views_test::image& value, writer& to) {
        forkflow::encode(to, value.pixels);
    }
    static codec_views_test::image decode(reader& from) { return {forkflow::decode<encoded_as>(from)}; }
};

template <>
struct forkflow::codec<codec_views_test::image_view> {
    using encoded_as = codec_views_test::image;
    static codec_views_test::image_view decode(reader& from) {
        return {forkflow::decode_view<std::span<const std::byte>>(from)};
    }
};

namespace codec_views_test {

TEST_CASE("a body that takes a view reads its request in place", "[codec]") {
    const std::string text = "in the buffer";
    const bytes message = encoded(text);
    forkflow::reader source(message);
    const auto view = forkflow::decode_as<std::string, const std::string_view&>(source);
    static_assert(std::is_same_v<decltype(view), const std::string_view>);
    CHECK(view == text);
    CHECK(inside(view.data(), message));
    CHECK(source.remaining() == 0);

    // After a byte of another value, so that only padding makes the elements aligned.
    const std::vector<double> numbers{1, 2, 3};
    const bytes second = encoded(std::tuple(std::byte{1}, numbers));
    forkflow::reader behind(second);
    static_cast<void>(behind.take(1));
    const auto seen = forkflow::decode_as<std::vector<double>, std::span<const double>>(behind);
    CHECK(inside(seen.data(), second));
    CHECK(std::equal(seen.begin(), seen.end(), numbers.begin(), numbers.end()));

    const bytes third = encoded(numbers);
    forkflow::reader raw(third);
    const auto block = forkflow::decode_as<std::vector<double>, std::span<const std::byte>>(raw);
    CHECK(inside(block.data(), third));
    CHECK(block.size() == 3 * sizeof(double));

    forkflow::reader copying(message);
    auto copy = forkflow::decode_as<std::string, const std::string&>(copying);
    static_assert(std::is_same_v<decltype(copy), std::string>);
    CHECK(copy == text);

    const bytes truncated(message.begin(), message.end() - 1);
    forkflow::reader short_source(truncated);
    CHECK_THROWS_AS((forkflow::decode_as<std::string, std::string_view>(short_source)), not_decodable);
}

TEST_CASE("codecs can write what they see as a string or a vector", "[codec]") {
    alignas(16) std::array<std::byte, 128> inline_area;
    forkflow::writer to(inline_area, {});
    const std::array<short, 3> numbers{1, 2, 3};
    forkflow::encode_view(to, std::string_view("text"));
    forkflow::encode_view(to, std::span<const short>(numbers));
    forkflow::reader from(to.written());
    CHECK(forkflow::decode<std::string>(from) == "text");
    CHECK(forkflow::decode<std::vector<short>>(from) == std::vector<short>{1, 2, 3});
    CHECK(from.remaining() == 0);
}

TEST_CASE("a view of the user's reads what its codec names, in place", "[codec]") {
    STATIC_REQUIRE(forkflow::decodes_in_place<page, page_view>);
    STATIC_REQUIRE(forkflow::decodes_in_place<page, const page_view&>);
    STATIC_REQUIRE_FALSE(forkflow::decodes_in_place<std::string, page_view>);
    STATIC_REQUIRE_FALSE(forkflow::encodable<page_view>);
    const bytes message = encoded(page{"somewhere", {1, 2, 3}});
    forkflow::reader from(message);
    const auto view = forkflow::decode_as<page, const page_view&>(from);
    CHECK(from.remaining() == 0);
    CHECK(view.url == "somewhere");
    CHECK(inside(view.url.data(), message));
    CHECK(inside(view.links.data(), message));
    CHECK(view.links.back() == 3);
}

TEST_CASE("what is encoded as a block can be seen as one", "[codec]") {
    STATIC_REQUIRE(forkflow::decodes_in_place<image, std::span<const std::byte>>);
    STATIC_REQUIRE(forkflow::decodes_in_place<image, image_view>);
    STATIC_REQUIRE_FALSE(forkflow::decodes_in_place<image, std::span<const int>>);
    STATIC_REQUIRE_FALSE(forkflow::decodes_in_place<page, std::span<const std::byte>>);
    const image black{std::vector<std::byte>(7)};
    CHECK(decoded<image>(encoded(black)) == black);
    const bytes message = encoded(black);
    forkflow::reader from(message);
    const auto block = forkflow::decode_as<image, std::span<const std::byte>>(from);
    CHECK(inside(block.data(), message));
    CHECK(block.size() == 7);
    forkflow::reader again(message);
    CHECK(inside(forkflow::decode_as<image, image_view>(again).pixels.data(), message));
}

TEMPLATE_TEST_CASE("a result that is written in place is encoded as one that is returned", "[codec]",
                   std::string, std::vector<double>, std::vector<short>, std::u16string) {
    using element = typename TestType::value_type;
    for (const std::size_t size : {0u, 1u, 3u, 100u}) {
        INFO(size << " elements");
        const TestType value(size, element{65});
        alignas(16) std::array<std::byte, 64> inline_area;
        alignas(16) std::array<std::byte, 4096> extent;
        forkflow::writer to(inline_area, extent);
        forkflow::result_writer<TestType> result(to);
        const std::span<element> first = result.resize(size + 5); // more than is needed
        CHECK(first.size() == size + 5);
        CHECK(inside(first.data(), to.written()));
        std::fill(first.begin(), first.end(), element{65});
        const std::span<element> kept = result.resize(size);
        CHECK(result.size() == size);
        CHECK(std::equal(kept.begin(), kept.end(), value.begin(), value.end()));
        CHECK(bytes(to.written().begin(), to.written().end()) == encoded(value));
    }
}

TEST_CASE("a result that is written in place can grow, and moves once", "[codec]") {
    alignas(16) std::array<std::byte, 64> inline_area;
    alignas(16) std::array<std::byte, 4096> extent;
    forkflow::writer to(inline_area, extent);
    forkflow::result_writer<std::string> result(to, std::uint8_t{7});
    std::string expected;
    while (expected.size() != 1000) {
        expected.push_back(static_cast<char>('a' + expected.size() % 26));
        result.resize(expected.size()).back() = expected.back();
    }
    CHECK(to.in_extent());
    forkflow::reader from(to.written());
    CHECK(from.read_value<std::uint8_t>() == 7);
    CHECK(forkflow::decode<std::string>(from) == expected);
    CHECK(from.remaining() == 0);
}

TEST_CASE("a result that is too large throws, and stays too large", "[codec]") {
    alignas(16) std::array<std::byte, 64> area;
    forkflow::writer to(area, {});
    forkflow::result_writer<std::vector<double>> result(to);
    CHECK(result.resize(7).size() == 7);
    for (const std::size_t count : {std::size_t{8}, ~std::size_t{0} / sizeof(double), ~std::size_t{0}}) {
        CHECK_THROWS_AS(result.resize(count), forkflow::result_too_large);
        CHECK(to.overflowed());
    }
    CHECK_THROWS_AS(result.resize(1), std::length_error);
}

} // namespace codec_views_test
