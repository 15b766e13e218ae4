// SPDX-License-Identifier: MIT
// The fuzzers' cases in an ordinary test: over encodings of fixed values, and over damaged copies of these.
#include "bytes_tier.hpp"
#include "composites_tier.hpp"
#include "in_place_tier.hpp"
#include "support/catch.hpp"
#include "user_types_tier.hpp"
#if __has_include(<cereal/cereal.hpp>)
#include "cereal_tier.hpp"
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <sstream>

using namespace forkflow_fuzz;

namespace {

constexpr std::uint64_t seeds_per_case = 4;
constexpr std::size_t mutations_per_seed = 150;

std::size_t some_place(random_source& source, const bytes& input) {
    return forkflow_test::random_below(source, input.size());
}

/// Damages the input behind its first byte as broken processes and fuzzers do: bits, lengths, lost and
/// doubled parts.
void mutate(bytes& input, random_source& source) {
    const std::uint64_t lengths[] = {
        0, 1, input.size(), 1000, std::uint64_t{1} << 63U, ~std::uint64_t{0}, source()};
    const auto at = input.begin() + static_cast<std::ptrdiff_t>(some_place(source, input));
    switch (source() % 5) {
    case 0:
        *at ^= std::byte{1} << (source() % 8);
        break;
    case 1:
        *at = static_cast<std::byte>(source());
        break;
    case 2: {
        const std::uint64_t length = lengths[forkflow_test::random_below(source, std::size(lengths))];
        const auto room = std::min<std::ptrdiff_t>(sizeof(length), input.end() - at);
        std::memcpy(&*at, &length, static_cast<std::size_t>(room));
        break;
    }
    case 3:
        input.erase(at, input.end());
        break;
    default: {
        const bytes part(at, input.end());
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(some_place(source, input)), part.begin(),
                     part.end());
    }
    }
}

std::string readable(const bytes& input) {
    std::ostringstream out;
    out << std::hex << std::setfill('0');
    for (const std::byte byte : input) {
        out << std::setw(2) << std::to_integer<unsigned>(byte);
    }
    return out.str();
}

template <class Tier>
void run_case(std::size_t which, std::uint64_t number) {
    random_source source(number);
    const bytes seed = Tier::seed(which, source);
    Tier::run(seed);
    for (std::size_t i = 0; i != mutations_per_seed; ++i) {
        bytes input = seed;
        for (std::size_t more = source() % 3 + 1; more != 0 && !input.empty(); --more) {
            mutate(input, source);
        }
        if (!input.empty()) {
            input.front() = seed.front(); // the same type
        }
        INFO("input " << readable(input));
        CHECK_NOTHROW(Tier::run(input));
    }
}

} // namespace

using tiers = std::tuple<bytes_tier, composites_tier, user_types_tier, in_place_tier
#if __has_include(<cereal/cereal.hpp>)
                         ,
                         cereal_tier
#endif
                         >;

TEMPLATE_LIST_TEST_CASE("damaged encodings are refused or decoded, in bounds and in proportion", "[codec]",
                        tiers) {
    for (std::size_t which = 0; which != TestType::size; ++which) {
        for (std::uint64_t number = 1; number <= seeds_per_case; ++number) {
            INFO("case " << which << ", seed " << number);
            run_case<TestType>(which, number);
        }
    }
}

TEST_CASE("a budget of memory is kept", "[codec]") {
    const auto takes = [](std::size_t bytes) {
        try {
            const memory_budget budget(1000);
            const std::vector<char> first(500);
            const std::vector<char> second(bytes);
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    };
    CHECK(takes(500));
    CHECK_FALSE(takes(501));
}
