// SPDX-License-Identifier: MIT
// std::expected, where the library has it: this source is compiled as C++23.
#include "support/survives.hpp"

#include <version>

#ifdef __cpp_lib_expected

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

using forkflow_test::random_source;
using forkflow_test::random_value;

template <class T, class E>
struct forkflow_test::random_maker<std::expected<T, E>> {
    static std::expected<T, E> make(random_source& source) {
        if (source() % 2 == 0) {
            return std::unexpected(random_value<E>(source));
        }
        if constexpr (std::is_void_v<T>) {
            return {};
        } else {
            return random_value<T>(source);
        }
    }
};

using expected_types =
    std::tuple<std::expected<int, bool>, std::expected<std::string, int>, std::expected<void, std::string>,
               std::expected<std::vector<std::string>, std::error_code>,
               std::vector<std::expected<bool, std::string>>,
               std::expected<std::expected<int, std::string>, std::optional<std::string>>,
               std::map<std::string, std::expected<std::variant<int, std::string>, std::vector<short>>>,
               std::optional<std::expected<void, std::vector<bool>>>>;

TEMPLATE_LIST_TEST_CASE("an expected survives; a damaged encoding does no harm", "[codec]", expected_types) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        INFO("seed " << seed);
        random_source source(seed);
        forkflow_test::survives<TestType>(source);
    }
}

TEST_CASE("an expected of what cannot be sent cannot be sent", "[codec]") {
    STATIC_REQUIRE_FALSE(forkflow::encodable<std::expected<int*, int>>);
    STATIC_REQUIRE_FALSE(forkflow::encodable<std::expected<int, std::string_view>>);
    STATIC_REQUIRE_FALSE(forkflow::encodable<std::expected<void, int*>>);
}

#else

TEST_CASE("this standard library has no std::expected", "[codec]") {
    SUCCEED();
}

#endif
