// SPDX-License-Identifier: MIT
// Which types can be sent: those that are built in, those that join, and none that would arrive broken.
#include "codec_types.hpp"
#include "support/catch.hpp"
#include "support/encoded.hpp"

#include <forkflow/codec.hpp>

#include <array>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <typeindex>
#include <variant>
#include <vector>

using namespace codec_types;
using forkflow::not_decodable;
using forkflow_test::bytes;
using forkflow_test::decoded;
using forkflow_test::encoded;

namespace {

struct without_codec {
    std::string text;
};
struct base {
    virtual ~base() = default;
};

// Aggregates that join with one line.
struct web_page {
    std::string url;
    std::vector<int> links;
    std::optional<std::string> title;
    std::unique_ptr<web_page> next;
    std::variant<int, std::string> anything;
    bool secure = false;
};
struct only_member {
    std::string text;
    bool operator==(const only_member&) const = default;
};
struct no_member {
    bool operator==(const no_member&) const = default;
};
struct nested_members {
    only_member first;
    std::array<std::string, 2> both;
    std::tuple<int, std::string> pieces;
    no_default made_from_int{0};
    const std::string* where() const { return &first.text; }
    bool operator==(const nested_members&) const = default;
};
struct sixteen {
    std::string a;
    int b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0, k = 0, l = 0, m = 0, n = 0, o = 0;
    std::string p;
    bool operator==(const sixteen&) const = default;
};
// Trivially copyable, but with a truth value inside that is to be checked.
struct checked {
    int number = 0;
    bool truth = false;
    bool operator==(const checked&) const = default;
};

// Classes that list their members.
class counter {
public:
    counter() = default;
    explicit counter(std::string name)
        : name_(std::move(name)) {}
    void count() { ++counted_; }
    bool operator==(const counter&) const = default;

private:
    friend struct forkflow::codec<counter>;
    std::string name_;
    int counted_ = 0;
    int not_sent_ = 0;
};
struct named_counter : counter {
    using counter::counter;
    std::string nickname;
    bool operator==(const named_counter&) const = default;
};

// Trivially copyable, with addresses inside.
struct holds_pointer {
    int size;
    const char* text;
};
struct holds_view {
    std::string_view text;
};
struct holds_optional_view {
    int size;
    std::optional<std::string_view> text;
};
struct holds_function {
    int (*call)(int);
    int argument;
};
struct holds_holder {
    int number;
    holds_view inside;
};
struct holds_iterator {
    int number;
    std::list<int>::iterator at;
};
template <class Tag>
struct number_of {
    int value;
};
struct static_text {
    const char* text;
    bool operator==(const static_text&) const = default;
};

} // namespace

template <>
struct forkflow::codec<web_page> : forkflow::aggregate_codec<web_page> {};
template <>
struct forkflow::codec<only_member> : forkflow::aggregate_codec<only_member> {};
template <>
struct forkflow::codec<no_member> : forkflow::aggregate_codec<no_member> {};
template <>
struct forkflow::codec<nested_members> : forkflow::aggregate_codec<nested_members> {};
template <>
struct forkflow::codec<sixteen> : forkflow::aggregate_codec<sixteen> {};
template <>
struct forkflow::codec<checked> : forkflow::aggregate_codec<checked> {};
template <>
struct forkflow::codec<counter> : forkflow::members_codec<counter, &counter::name_, &counter::counted_> {};
template <>
struct forkflow::codec<named_counter> {
    static void encode(const named_counter& value, writer& to) {
        forkflow::encode(to, static_cast<const counter&>(value));
        forkflow::encode(to, value.nickname);
    }
    static named_counter decode(reader& from) {
        named_counter value;
        static_cast<counter&>(value) = forkflow::decode<counter>(from);
        value.nickname = forkflow::decode<std::string>(from);
        return value;
    }
};
template <>
struct forkflow::codec<static_text> : forkflow::bytes_codec<static_text> {};

TEST_CASE("an aggregate joins with one line", "[codec]") {
    web_page first{"a", {1, 2}, "title", std::make_unique<web_page>(), "text", true};
    first.next->url = "b";
    const auto arrived = decoded<web_page>(encoded(first));
    CHECK(arrived.url == "a");
    CHECK(arrived.links == first.links);
    CHECK(arrived.title == "title");
    REQUIRE(arrived.next);
    CHECK(arrived.next->url == "b");
    CHECK_FALSE(arrived.next->next);
    CHECK(arrived.anything == first.anything);
    CHECK(arrived.secure);

    CHECK(decoded<only_member>(encoded(only_member{"x"})) == only_member{"x"});
    CHECK(decoded<std::vector<no_member>>(encoded(std::vector<no_member>(3))).size() == 3);
    const nested_members nested{{"one"}, {"two", "three"}, {4, "five"}, no_default(6)};
    CHECK(decoded<nested_members>(encoded(nested)) == nested);
    sixteen many{.a = "first", .p = "last"};
    many.h = 8;
    CHECK(decoded<std::vector<sixteen>>(encoded(std::vector{many, many})) == std::vector{many, many});
}

TEST_CASE("the members of an aggregate are checked, where its bytes would not be", "[codec]") {
    CHECK(decoded<checked>(encoded(checked{5, true})) == checked{5, true});
    bytes message = encoded(checked{5, true});
    message.back() = std::byte{2};
    CHECK_THROWS_AS(decoded<checked>(message), not_decodable);
}

TEST_CASE("a class joins with a list of its members, private ones too", "[codec]") {
    counter pulses("heart");
    pulses.count();
    CHECK(decoded<counter>(encoded(pulses)) == pulses);
    named_counter named("lungs");
    named.count();
    named.nickname = "air";
    CHECK(decoded<named_counter>(encoded(named)) == named);
}

TEST_CASE("a trivially copyable class in which an address shows is sent only if the user insists",
          "[codec]") {
    using forkflow::encodable;
    STATIC_REQUIRE_FALSE(encodable<holds_pointer>);
    STATIC_REQUIRE_FALSE(encodable<holds_view>);
    STATIC_REQUIRE_FALSE(encodable<holds_optional_view>);
    STATIC_REQUIRE_FALSE(encodable<holds_function>);
    STATIC_REQUIRE_FALSE(encodable<holds_holder>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<holds_pointer>>);
    STATIC_REQUIRE(encodable<point>);
    STATIC_REQUIRE(encodable<std::array<point, 3>>);
    const std::vector<static_text> texts{{"was there"}, {"before"}};
    CHECK(decoded<std::vector<static_text>>(encoded(texts)) == texts);
}

TEST_CASE("a codec of the user's wins over the bytes of a type, also inside containers", "[codec]") {
    CHECK(encoded(negated{0}) == encoded(-1));
    CHECK(encoded(std::array<negated, 2>{}) == encoded(std::array<int, 2>{-1, -1}));
    static_assert(!forkflow::decodes_in_place<std::vector<negated>, std::span<const negated>>);
}

TEST_CASE("types that cannot be sent are told apart when compiling", "[codec]") {
    using forkflow::encodable;
    STATIC_REQUIRE(encodable<int>);
    STATIC_REQUIRE(encodable<const std::string>);
    STATIC_REQUIRE(encodable<number_of<struct never_defined>>);
    STATIC_REQUIRE(encodable<std::vector<std::optional<std::tuple<tree, std::unique_ptr<int>>>>>);
    STATIC_REQUIRE_FALSE(encodable<int*>);
    STATIC_REQUIRE_FALSE(encodable<const char*>);
    STATIC_REQUIRE_FALSE(encodable<int&>);
    STATIC_REQUIRE_FALSE(encodable<void>);
    STATIC_REQUIRE_FALSE(encodable<void (*)()>);
    STATIC_REQUIRE_FALSE(encodable<int point::*>);
    STATIC_REQUIRE_FALSE(encodable<std::nullptr_t>);
    STATIC_REQUIRE_FALSE(encodable<int[3]>);
    STATIC_REQUIRE_FALSE(encodable<std::string_view>);
    STATIC_REQUIRE_FALSE(encodable<std::span<const int>>);
    STATIC_REQUIRE_FALSE(encodable<std::span<const int, 3>>);
    STATIC_REQUIRE_FALSE(encodable<std::reference_wrapper<int>>);
    STATIC_REQUIRE_FALSE(encodable<std::optional<int*>>);
    STATIC_REQUIRE_FALSE(encodable<std::variant<int, std::string_view>>);
    STATIC_REQUIRE_FALSE(encodable<std::array<int*, 2>>);
    STATIC_REQUIRE_FALSE(encodable<std::array<std::optional<std::string_view>, 2>>);
    STATIC_REQUIRE_FALSE(encodable<std::pair<int, const char*>>);
    STATIC_REQUIRE_FALSE(encodable<std::tuple<int&>>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<int*>>);
    STATIC_REQUIRE_FALSE(encodable<std::map<int, int*>>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<int>::iterator>);
    STATIC_REQUIRE_FALSE(encodable<std::list<int>::iterator>);
    STATIC_REQUIRE_FALSE(encodable<std::map<int, int>::const_iterator>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<bool>::iterator>);
    STATIC_REQUIRE_FALSE(encodable<holds_iterator>);
    STATIC_REQUIRE_FALSE(encodable<std::type_index>);
    STATIC_REQUIRE_FALSE(encodable<std::unique_ptr<base>>);
    STATIC_REQUIRE_FALSE(encodable<std::unique_ptr<int[]>>);
    STATIC_REQUIRE_FALSE(encodable<without_codec>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<without_codec>>);
}

TEST_CASE("an error of a category that only this process knows is refused", "[codec]") {
    struct : std::error_category {
        [[nodiscard]] const char* name() const noexcept override { return "private"; }
        [[nodiscard]] std::string message(int) const override { return "unknown"; }
    } const category;
    CHECK_THROWS_AS(encoded(std::error_code(1, category)), std::invalid_argument);
    const auto arrived = decoded<std::error_code>(encoded(std::error_code(ENOENT, std::system_category())));
    CHECK(arrived == std::errc::no_such_file_or_directory);
}
