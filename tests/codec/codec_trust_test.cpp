// SPDX-License-Identifier: MIT
// Whatever the bytes are, decoding them ends, stays within them, and takes no more memory than they justify;
// and what cannot be encoded is refused.
#include "codec_types.hpp"
#include "support/catch.hpp"
#include "support/encoded.hpp"
#include "support/survives.hpp"

#include <forkflow/codec.hpp>

#include <array>
#include <bitset>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_set>
#include <variant>
#include <vector>

namespace codec_trust_test {

using namespace codec_types;
using forkflow::not_decodable;
using forkflow_test::bytes;
using forkflow_test::claims;
using forkflow_test::decode_damaged;
using forkflow_test::decoded;
using forkflow_test::encoded;

namespace {

struct thrower {
    bool when_encoding = false;
};

} // namespace

} // namespace codec_trust_test

template <>
struct forkflow::codec<codec_trust_test::thrower> {
    static void encode(const codec_trust_test::thrower& value, writer& to) {
        forkflow::encode(to, 1);
        if (value.when_encoding) {
            throw std::domain_error("not this one");
        }
    }
    static codec_trust_test::thrower decode(reader&) { throw std::range_error("not these"); }
};

namespace codec_trust_test {

TEST_CASE("every prefix of an encoding is refused, and every bit may be wrong", "[codec]") {
    using message = std::tuple<std::string, std::variant<int, std::vector<std::string>>, std::map<int, bool>,
                               std::vector<double>, std::optional<std::string>>;
    const bytes whole = encoded(message("a name", std::vector<std::string>{"one", "", "three"},
                                        {{1, true}, {2, false}}, {1.5, 2.5}, "the end"));
    for (std::size_t size = 0; size != whole.size(); ++size) {
        const bytes prefix(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        forkflow::reader source(prefix);
        INFO("the first " << size << " of " << whole.size() << " bytes");
        CHECK_THROWS_AS(forkflow::decode<message>(source), not_decodable);
    }
    for (std::size_t bit = 0; bit != whole.size() * 8; ++bit) {
        bytes damaged = whole;
        damaged[bit / 8] ^= std::byte{1} << (bit % 8);
        decode_damaged<message>(damaged);
    }
}

TEMPLATE_TEST_CASE("a claimed length beyond the message is refused before memory is taken", "[codec]",
                   limited_string, limited_vector<char>, limited_vector<point>, limited_vector<over_aligned>,
                   limited_vector<bool>, limited_vector<limited_string>, limited_vector<nothing>,
                   limited_vector<unwritten>, limited_vector<std::tuple<>>,
                   limited_vector<std::optional<point>>, (std::deque<int, limited_allocator<int>>),
                   (std::list<int, limited_allocator<int>>),
                   (std::set<int, std::less<int>, limited_allocator<int>>),
                   (std::map<int, int, std::less<int>, limited_allocator<std::pair<const int, int>>>),
                   (std::unordered_set<std::string, std::hash<std::string>, std::equal_to<std::string>,
                                       limited_allocator<std::string>>)) {
    const std::uint64_t counts[] = {std::uint64_t{1} << 63, ~std::uint64_t{0},
                                    ~std::uint64_t{0} / sizeof(typename TestType::value_type) - 1,
                                    std::uint64_t{1} << 40, 10'000};
    allocation_limit = 4096;
    for (const std::uint64_t count : counts) {
        INFO("claimed: " << count << " elements");
        const bytes message = claims(count, 200);
        forkflow::reader source(message);
        CHECK_THROWS_AS(forkflow::decode<TestType>(source), not_decodable);
    }
    allocation_limit = std::numeric_limits<std::size_t>::max();
}

TEST_CASE("memory is taken ahead only in proportion to the bytes that are there", "[codec]") {
    // The claim is possible, with one byte for each element, but that is not what follows.
    constexpr std::size_t size = 1000;
    allocation_limit = 8 * size;
    const bytes message = claims(size, size);
    forkflow::reader source(message);
    using large_elements = limited_vector<std::array<std::string, 50>>;
    CHECK_THROWS_AS(forkflow::decode<large_elements>(source), not_decodable);
    allocation_limit = std::numeric_limits<std::size_t>::max();
}

TEST_CASE("what is nested without end is refused on both sides", "[codec]") {
    auto chain = [](std::size_t depth) {
        tree root;
        for (std::size_t i = 0; i != depth; ++i) {
            tree parent;
            parent.children.push_back(std::move(root));
            root = std::move(parent);
        }
        return root;
    };
    // A tree and the vector of its children are two levels.
    constexpr std::size_t deepest = forkflow::nodes::max_nesting / 2 - 1;
    CHECK(decoded<tree>(encoded(chain(deepest))) == chain(deepest));
    CHECK_THROWS_AS(encoded(chain(deepest + 1)), std::length_error);

    bytes endless;
    for (int i = 0; i != 100'000; ++i) {
        const bytes level = encoded(std::tuple<int, std::uint64_t>(1, 1));
        endless.insert(endless.end(), level.begin(), level.end());
    }
    forkflow::reader source(endless);
    CHECK_THROWS_AS(forkflow::decode<tree>(source), not_decodable);
    CHECK(decoded<int>(encoded(3)) == 3); // Levels end with the exception: nothing is left open elsewhere.
}

TEST_CASE("bytes that are no truth value and no alternative are refused", "[codec]") {
    const bytes two{std::byte{2}};
    const auto refused = [&]<class T>(std::type_identity<T>) {
        forkflow::reader source(two);
        CHECK_THROWS_AS(forkflow::decode<T>(source), not_decodable);
    };
    refused(std::type_identity<bool>{});
    refused(std::type_identity<std::optional<char>>{});
    refused(std::type_identity<std::unique_ptr<char>>{});
    refused(std::type_identity<std::variant<std::monostate, char>>{});
}

TEST_CASE("a variant that lost its value is not encoded", "[codec]") {
    using several = std::array<std::string, 20>;
    struct explosive {
        explicit operator several() const { throw std::runtime_error("no value"); }
    };
    std::variant<int, several> value = 1;
    CHECK_THROWS_AS(value.emplace<several>(explosive{}), std::runtime_error);
    REQUIRE(value.valueless_by_exception());
    CHECK_THROWS_AS(encoded(value), std::bad_variant_access);
}

TEST_CASE("what a codec throws arrives as it is, and the writer can be used again", "[codec]") {
    alignas(16) std::array<std::byte, 64> inline_area;
    forkflow::writer to(inline_area, {});
    CHECK_THROWS_AS(forkflow::encode(to, std::vector<thrower>{{false}, {true}}), std::domain_error);
    to.rewind();
    forkflow::encode(to, 5);
    CHECK(decoded<int>(bytes(to.written().begin(), to.written().end())) == 5);
    CHECK_THROWS_AS(decoded<thrower>(encoded(thrower{})), std::range_error);
}

} // namespace codec_trust_test
