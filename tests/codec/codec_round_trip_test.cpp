// SPDX-License-Identifier: MIT
// Every codec gives back what it was given, and does no harm when that was damaged on the way.
#include "codec_types.hpp"
#include "support/catch.hpp"
#include "support/encoded.hpp"
#include "support/survives.hpp"

#include <forkflow/codec.hpp>

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

using namespace codec_types;
using forkflow_test::decoded;
using forkflow_test::encoded;
using forkflow_test::random_source;

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
    std::unordered_multimap<int, std::vector<std::string>>, std::u8string, std::u16string,
    std::forward_list<std::string>, std::forward_list<bool>, std::queue<std::string>, std::stack<int>,
    std::priority_queue<std::string>, std::bitset<3>, std::bitset<130>, std::complex<double>,
    std::vector<std::complex<float>>, std::vector<std::bitset<9>>, std::chrono::steady_clock::time_point,
    std::vector<std::chrono::milliseconds>, std::list<std::filesystem::path>,
    std::map<std::string, std::set<std::u16string>>, std::deque<std::unique_ptr<std::deque<bool>>>>;

TEMPLATE_LIST_TEST_CASE("a value survives; a damaged encoding does no harm", "[codec]", sent_types) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        random_source source(seed);
        forkflow_test::survives<TestType>(source);
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
