// SPDX-License-Identifier: MIT
// What bodies read in place, built in and of the user's; and whole calls of bodies, also of some that write
// their result in place.
#pragma once

#include "cases.hpp"

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace forkflow_fuzz {

struct text {
    std::string title;
    std::vector<double> weights;
};
struct text_view {
    std::string_view title;
    std::span<const double> weights;
    [[nodiscard]] auto parts() const { return std::tuple(title, weights); }
};

struct marker {};

/// Gives the bytes of its request twice over, written in place.
struct doubles_bytes {
    void operator()(std::span<const std::byte> in, forkflow::result_writer<std::string>& out) const {
        const std::span<char> place = out.resize(2 * in.size() + 1); // and gives back the last
        std::copy_n(reinterpret_cast<const char*>(in.data()), in.size(), place.begin());
        std::copy_n(place.begin(), in.size(), place.begin() + static_cast<std::ptrdiff_t>(in.size()));
        out.resize(2 * in.size());
    }
};
struct writes_weights {
    void operator()(text_view seen, forkflow::result_writer<std::vector<double>>& out) const {
        if (!seen.weights.empty()) {
            std::copy(seen.weights.begin(), seen.weights.end(), out.resize(seen.weights.size()).begin());
        }
    }
};
struct counts {
    std::size_t operator()(const std::string& given) const { return given.size(); }
    std::vector<std::string> operator()(int given) const { return {std::to_string(given), ""}; }
};

} // namespace forkflow_fuzz

template <>
struct forkflow::codec<forkflow_fuzz::text> : forkflow::aggregate_codec<forkflow_fuzz::text> {};
template <>
struct forkflow::codec<forkflow_fuzz::text_view> {
    using encoded_as = forkflow_fuzz::text;
    static forkflow_fuzz::text_view decode(reader& from) {
        const auto title = forkflow::decode_view<std::string_view>(from);
        return {title, forkflow::decode_view<std::span<const double>>(from)};
    }
};

template <>
struct forkflow_test::random_maker<forkflow_fuzz::text> {
    static forkflow_fuzz::text make(random_source& source) {
        return {random_value<std::string>(source), random_value<std::vector<double>>(source)};
    }
};

template <>
struct forkflow_test::random_maker<forkflow_fuzz::marker> {
    static forkflow_fuzz::marker make(random_source&) { return {}; }
};

namespace forkflow_fuzz {

using in_place_tier =
    tier<in_place<std::string, std::string_view>, in_place<std::u32string, std::u32string_view>,
         in_place<std::vector<double>, std::span<const double>>,
         in_place<std::vector<long double>, std::span<const std::byte>>,
         in_place<std::string, std::span<const std::byte>>, in_place<text, text_view>,
         call<std::vector<double>, std::string, doubles_bytes>,
         call<text, std::vector<double>, writes_weights>,
         call<std::variant<std::string, marker, int>,
              std::variant<std::size_t, marker, std::vector<std::string>>, counts>,
         call<std::variant<text, marker>, std::variant<marker, std::vector<double>>, writes_weights>>;

} // namespace forkflow_fuzz
