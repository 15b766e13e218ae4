// SPDX-License-Identifier: MIT
// Every codec gives back what it was given; and whatever the bytes are, decoding them ends, stays within
// them, and takes no more memory than they justify.
#include "support/catch.hpp"
#include "support/random_values.hpp"

#include <forkflow/codec.hpp>

#include <deque>
#include <list>
#include <map>
#include <new>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

using forkflow::not_decodable;
using forkflow_test::random_source;
using forkflow_test::random_value;
using bytes = std::vector<std::byte>; // starts aligned to 16, as memory from operator new does

namespace {

struct point {
    std::int32_t x = 0;
    double y = 0;
    bool operator==(const point&) const = default;
};
struct no_default {
    explicit no_default(int given)
        : value(given) {}
    int value;
    bool operator==(const no_default&) const = default;
};
struct nothing {
    bool operator==(const nothing&) const = default;
};
struct alignas(64) over_aligned {
    int value = 0;
    bool operator==(const over_aligned&) const = default;
};
enum class colour : std::uint8_t { red, green };

// Types with codecs of their own, below: one that refers to itself, one that is trivially copyable all the
// same, one that writes nothing, and one that throws.
struct tree {
    int value = 0;
    std::vector<tree> children;
    bool operator==(const tree&) const = default;
};
struct negated {
    int value = 0;
    bool operator==(const negated&) const = default;
};
struct unwritten {
    std::string always = "the same";
    bool operator==(const unwritten&) const = default;
};
struct thrower {
    bool when_encoding = false;
};
struct without_codec {
    std::string text;
};
struct base {
    virtual ~base() = default;
};

// Stops the test's own containers from asking for more than the test allows.
std::size_t allocation_limit = std::numeric_limits<std::size_t>::max();
struct over_allocation : std::logic_error {
    using std::logic_error::logic_error;
};
template <class T>
struct limited_allocator : std::allocator<T> {
    using value_type = T;
    template <class U>
    struct rebind {
        using other = limited_allocator<U>;
    };
    limited_allocator() = default;
    template <class U>
    limited_allocator(const limited_allocator<U>&) {
    } // NOLINT(google-explicit-constructor): as allocators convert
    T* allocate(std::size_t count) {
        if (count > allocation_limit / sizeof(T)) {
            throw over_allocation("asked for " + std::to_string(count) + " elements");
        }
        return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(alignof(T))));
    }
    void deallocate(T* at, std::size_t) { ::operator delete(at, std::align_val_t(alignof(T))); }
};
template <class T>
using limited_vector = std::vector<T, limited_allocator<T>>;
using limited_string = std::basic_string<char, std::char_traits<char>, limited_allocator<char>>;

} // namespace

template <>
struct forkflow::codec<tree> {
    static void encode(const tree& value, writer& to) {
        forkflow::encode(to, value.value);
        forkflow::encode(to, value.children);
    }
    static tree decode(reader& from) {
        const int value = forkflow::decode<int>(from);
        return {value, forkflow::decode<std::vector<tree>>(from)};
    }
};
template <>
struct forkflow::codec<negated> {
    static void encode(const negated& value, writer& to) { forkflow::encode(to, ~value.value); }
    static negated decode(reader& from) { return {~forkflow::decode<int>(from)}; }
};
template <>
struct forkflow::codec<unwritten> {
    static void encode(const unwritten&, writer&) {}
    static unwritten decode(reader&) { return {}; }
};
template <>
struct forkflow::codec<thrower> {
    static void encode(const thrower& value, writer& to) {
        forkflow::encode(to, 1);
        if (value.when_encoding) {
            throw std::domain_error("not this one");
        }
    }
    static thrower decode(reader&) { throw std::range_error("not these"); }
};

template <>
struct forkflow_test::random_maker<point> {
    static point make(random_source& source) {
        return {random_value<int>(source), random_value<double>(source)};
    }
};
template <>
struct forkflow_test::random_maker<nothing> {
    static nothing make(random_source&) { return {}; }
};
template <>
struct forkflow_test::random_maker<unwritten> {
    static unwritten make(random_source&) { return {}; }
};
template <>
struct forkflow_test::random_maker<negated> {
    static negated make(random_source& source) { return {random_value<int>(source)}; }
};
template <>
struct forkflow_test::random_maker<over_aligned> {
    static over_aligned make(random_source& source) { return {random_value<int>(source)}; }
};
template <>
struct forkflow_test::random_maker<tree> {
    static tree make(random_source& source) {
        tree root{random_value<int>(source), {}};
        for (std::size_t i = random_below(source, 4) % 3; i != 0; --i) {
            root.children.push_back(make(source));
        }
        return root;
    }
};

namespace {

template <class T>
bytes encoded(const T& value) {
    alignas(16) std::array<std::byte, 64> inline_area;
    alignas(16) static std::array<std::byte, std::size_t{1} << 20> extent;
    forkflow::writer to(inline_area, extent);
    forkflow::encode(to, value);
    REQUIRE_FALSE(to.overflowed());
    REQUIRE(to.written().size() == to.size());
    return bytes(to.written().begin(), to.written().end());
}

template <class T>
T decoded(const bytes& from) {
    forkflow::reader source(from);
    T value = forkflow::decode<T>(source);
    CHECK(source.remaining() == 0);
    return value;
}

// The encoding of a length that no message can have.
bytes claims(std::uint64_t count, std::size_t bytes_after) {
    bytes message = encoded(count);
    message.resize(message.size() + bytes_after);
    return message;
}

// Decodes what may be damaged: any value or exception will do, as long as memory stays in proportion.
template <class T>
void decode_damaged(const bytes& message) {
    try {
        forkflow::reader source(message);
        static_cast<void>(forkflow::decode<T>(source));
    } catch (const not_decodable&) {
        SUCCEED();
    }
}

// Pointers are the same if they lead to the same.
template <class T>
bool same(const T& left, const T& right) {
    if constexpr (requires { *left; }) {
        return static_cast<bool>(left) == static_cast<bool>(right) && (!left || same(*left, *right));
    } else {
        return left == right;
    }
}

template <class T>
void survives(random_source& source) {
    const T value = random_value<T>(source);
    const bytes message = encoded(value);
    CHECK(same(decoded<T>(message), value));
    const std::size_t step = std::max<std::size_t>(1, message.size() / 64);
    for (std::size_t size = 0; size < message.size(); size += step) {
        const bytes prefix(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
        forkflow::reader part(prefix);
        CHECK_THROWS_AS(forkflow::decode<T>(part), not_decodable);
    }
    for (std::size_t at = 0; at < message.size(); at += step) {
        bytes damaged = message;
        damaged[at] ^= std::byte{1} << (source() % 8);
        decode_damaged<T>(damaged);
        damaged[at] = static_cast<std::byte>(source());
        decode_damaged<T>(damaged);
    }
}

} // namespace

using sent_types = std::tuple<
    char, bool, std::uint64_t, double, long double, colour, point, nothing, std::monostate,
    std::array<int, 5>, std::array<bool, 3>, std::array<std::string, 20>, std::array<std::string, 0>,
    std::array<int, 0>, std::string, std::wstring, std::u32string, std::vector<char>, std::vector<double>,
    std::vector<point>, std::vector<bool>, std::vector<nothing>, std::vector<unwritten>,
    std::vector<std::tuple<>>, limited_vector<over_aligned>, std::vector<std::string>,
    std::vector<std::vector<std::vector<short>>>, std::deque<int>, std::list<std::string>,
    std::set<std::string>, std::multiset<int>, std::map<int, std::string>, std::multimap<bool, point>,
    std::map<std::string, std::map<int, std::vector<bool>>>, std::pair<bool, std::string>, std::tuple<>,
    std::tuple<std::tuple<int>>, std::tuple<char, double, bool, std::string>, std::optional<bool>,
    std::optional<std::optional<std::string>>, std::variant<std::monostate, int, std::string>,
    std::variant<int, int, std::vector<std::variant<bool, point>>>, std::chrono::nanoseconds,
    std::chrono::duration<double>, std::chrono::system_clock::time_point, std::filesystem::path,
    std::unique_ptr<std::string>, std::shared_ptr<int>, std::unique_ptr<const point>,
    std::optional<std::unique_ptr<std::vector<std::string>>>, tree, negated, std::vector<negated>,
    std::array<negated, 2>, std::vector<std::optional<tree>>, std::unordered_set<int>,
    std::unordered_multiset<std::string>, std::unordered_map<std::string, point>,
    std::unordered_multimap<int, std::vector<std::string>>>;

TEMPLATE_LIST_TEST_CASE("a value survives; a damaged encoding does no harm", "[codec]", sent_types) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        random_source source(seed);
        survives<TestType>(source);
    }
}

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

TEST_CASE("types without a default constructor can be sent", "[codec]") {
    CHECK(decoded<no_default>(encoded(no_default(7))) == no_default(7));
    const std::vector<no_default> several(3, no_default(8));
    CHECK(decoded<std::vector<no_default>>(encoded(several)) == several);
    const std::array<std::pair<no_default, std::string>, 2> pairs{
        {{no_default(1), "a"}, {no_default(2), "b"}}};
    CHECK(decoded<std::array<std::pair<no_default, std::string>, 2>>(encoded(pairs)) == pairs);
}

#ifdef __cpp_lib_expected
TEST_CASE("an expected survives with its value or its error", "[codec]") {
    using text = std::expected<std::string, int>;
    using done = std::expected<void, std::string>;
    CHECK(decoded<text>(encoded(text("value"))) == text("value"));
    CHECK(decoded<text>(encoded(text(std::unexpect, 5))) == text(std::unexpect, 5));
    CHECK(decoded<done>(encoded(done())) == done());
    CHECK(decoded<done>(encoded(done(std::unexpect, "no"))) == done(std::unexpect, "no"));
}
#endif

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

TEST_CASE("a codec of the user's wins over the bytes of a type, also inside containers", "[codec]") {
    CHECK(encoded(negated{0}) == encoded(-1));
    CHECK(encoded(std::array<negated, 2>{}) == encoded(std::array<int, 2>{-1, -1}));
    static_assert(!forkflow::decodes_in_place<std::vector<negated>, std::span<const negated>>);
}

TEST_CASE("a body that takes a view reads its request in place", "[codec]") {
    const auto inside = [](const void* at, const bytes& message) {
        return at >= message.data() && at < message.data() + message.size();
    };
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

TEST_CASE("types that cannot be sent are told apart when compiling", "[codec]") {
    using forkflow::encodable;
    STATIC_REQUIRE(encodable<int>);
    STATIC_REQUIRE(encodable<const std::string>);
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
    STATIC_REQUIRE_FALSE(encodable<std::unique_ptr<base>>);
    STATIC_REQUIRE_FALSE(encodable<std::unique_ptr<int[]>>);
    STATIC_REQUIRE_FALSE(encodable<without_codec>);
    STATIC_REQUIRE_FALSE(encodable<std::vector<without_codec>>);
}
