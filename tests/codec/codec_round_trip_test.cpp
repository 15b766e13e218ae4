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
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace codec_round_trip_test {

using namespace codec_types;
using forkflow_test::decoded;
using forkflow_test::encoded;
using forkflow_test::random_source;

// The types that have a codec without further ado, one of each kind at least, nested and with allocators and
// containers of other kinds; and types of the user's.
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
    std::map<std::string, std::set<std::u16string>>, std::deque<std::unique_ptr<std::deque<bool>>>,
    std::error_code, std::error_condition, std::pair<std::error_code, std::vector<std::error_condition>>,
    std::pmr::string, std::pmr::vector<std::pmr::string>, std::pmr::map<int, std::pmr::deque<point>>,
    std::chrono::year_month_day, std::vector<std::chrono::weekday>, std::chrono::sys_days,
    std::multiset<std::wstring>, std::vector<std::byte>, std::multimap<std::string, std::list<bool>>,
    std::queue<point, std::list<point>>, std::stack<std::string, std::vector<std::string>>,
    std::priority_queue<int, std::deque<int>, std::greater<int>>, std::shared_ptr<const std::string>,
    std::vector<wrapped<std::string>>, wrapped<wrapped<int>>,
    std::optional<std::tuple<std::complex<long double>, std::bitset<64>, std::filesystem::path>>>;

TEMPLATE_LIST_TEST_CASE("a value survives; a damaged encoding does no harm", "[codec]", sent_types) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed " << seed);
        random_source source(seed);
        forkflow_test::survives<TestType>(source);
    }
}

TEST_CASE("vectors of what cannot be assigned can be sent", "[codec]") {
    struct fixed {
        const int id;
        float value;
    };
    const std::vector<fixed> sent{{1, 0.5F}, {2, 1.5F}};
    const auto arrived = decoded<std::vector<fixed>>(encoded(sent));
    REQUIRE(arrived.size() == 2);
    CHECK(arrived[1].id == 2);
    CHECK(arrived[1].value == 1.5F);
}

TEST_CASE("types without a default constructor can be sent", "[codec]") {
    CHECK(decoded<no_default>(encoded(no_default(7))) == no_default(7));
    const std::vector<no_default> several(3, no_default(8));
    CHECK(decoded<std::vector<no_default>>(encoded(several)) == several);
    const std::array<std::pair<no_default, std::string>, 2> pairs{
        {{no_default(1), "a"}, {no_default(2), "b"}}};
    CHECK(decoded<std::array<std::pair<no_default, std::string>, 2>>(encoded(pairs)) == pairs);
}

} // namespace codec_round_trip_test
