// SPDX-License-Identifier: MIT
// Random values of standard types, nested in any way, from a seed: the material of property tests.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <forward_list>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace forkflow_test {

using random_source = std::mt19937_64;

// Specialise it for types of a test's own.
template <class T>
struct random_maker;

template <class T>
T random_value(random_source& source) {
    return random_maker<T>::make(source);
}

inline std::size_t random_below(random_source& source, std::size_t limit) {
    return static_cast<std::size_t>(source() % limit);
}

// Small, all ones, or anything: limits are where codecs go wrong.
template <class T>
requires(std::integral<T> || std::is_enum_v<T>) struct random_maker<T> {
    static T make(random_source& source) {
        if constexpr (std::is_same_v<T, bool>) {
            return source() % 2 == 0;
        } else {
            const std::uint64_t choices[] = {source() % 10, ~std::uint64_t{0}, source()};
            return static_cast<T>(choices[random_below(source, 3)]);
        }
    }
};

template <std::floating_point T>
struct random_maker<T> {
    static T make(random_source& source) {
        const T choices[] = {T{0}, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::infinity(),
                             static_cast<T>(source()) / T{3}};
        return choices[random_below(source, 4)];
    }
};

// Strings and containers; maps among them, as their elements are pairs.
template <class T>
struct unqualified {
    using type = std::remove_cv_t<T>;
};
template <class A, class B>
struct unqualified<std::pair<A, B>> {
    using type = std::pair<std::remove_cv_t<A>, std::remove_cv_t<B>>;
};

template <class T>
requires(requires(T& range, typename T::value_type element) {
    range.insert(range.end(), std::move(element));
}) struct random_maker<T> {
    static T make(random_source& source) {
        constexpr std::size_t sizes[] = {0, 1, 3, 40};
        const std::size_t size = sizes[random_below(source, 4)];
        T range;
        for (std::size_t i = 0; i != size; ++i) {
            range.insert(range.end(),
                         random_value<typename unqualified<typename T::value_type>::type>(source));
        }
        return range;
    }
};

// From the front, as it has no way to the end.
template <class T, class A>
struct random_maker<std::forward_list<T, A>> {
    static std::forward_list<T, A> make(random_source& source) {
        std::forward_list<T, A> list;
        for (std::size_t i = random_below(source, 10); i != 0; --i) {
            list.push_front(random_value<T>(source));
        }
        return list;
    }
};

// Container adaptors.
template <class T>
requires requires(T& adaptor, typename T::container_type inside, typename T::value_type element) {
    adaptor.push(std::move(element));
}
struct random_maker<T> {
    static T make(random_source& source) {
        T adaptor;
        for (std::size_t i = random_below(source, 10); i != 0; --i) {
            adaptor.push(random_value<typename T::value_type>(source));
        }
        return adaptor;
    }
};

template <std::size_t N>
struct random_maker<std::bitset<N>> {
    static std::bitset<N> make(random_source& source) {
        std::bitset<N> bits;
        for (std::size_t i = 0; i != N; ++i) {
            bits[i] = random_value<bool>(source);
        }
        return bits;
    }
};

template <class T>
struct random_maker<std::complex<T>> {
    static std::complex<T> make(random_source& source) {
        return {random_value<T>(source), random_value<T>(source)};
    }
};

template <>
struct random_maker<std::filesystem::path> {
    static std::filesystem::path make(random_source& source) {
        return "/some/" + std::to_string(source()) + "/file";
    }
};

template <class Error>
requires(std::same_as<Error, std::error_code> ||
         std::same_as<Error, std::error_condition>) struct random_maker<Error> {
    static Error make(random_source& source) {
        return {random_value<int>(source),
                source() % 2 == 0 ? std::generic_category() : std::system_category()};
    }
};

template <>
struct random_maker<std::chrono::year_month_day> {
    static std::chrono::year_month_day make(random_source& source) {
        return std::chrono::sys_days(std::chrono::days(random_below(source, 100'000)));
    }
};
template <>
struct random_maker<std::chrono::weekday> {
    static std::chrono::weekday make(random_source& source) {
        return std::chrono::weekday(static_cast<unsigned>(random_below(source, 7)));
    }
};

template <class T, std::size_t N>
struct random_maker<std::array<T, N>> {
    static std::array<T, N> make(random_source& source) {
        std::array<T, N> elements;
        std::generate(elements.begin(), elements.end(), [&] { return random_value<T>(source); });
        return elements;
    }
};

template <class A, class B>
struct random_maker<std::pair<A, B>> {
    static std::pair<A, B> make(random_source& source) {
        return {random_value<A>(source), random_value<B>(source)};
    }
};

template <class... Ts>
struct random_maker<std::tuple<Ts...>> {
    static std::tuple<Ts...> make([[maybe_unused]] random_source& source) {
        return std::tuple<Ts...>{random_value<Ts>(source)...};
    }
};

template <class T>
struct random_maker<std::optional<T>> {
    static std::optional<T> make(random_source& source) {
        return source() % 2 == 0 ? std::optional<T>(std::in_place, random_value<T>(source)) : std::nullopt;
    }
};

template <class T>
struct random_maker<std::unique_ptr<T>> {
    static std::unique_ptr<T> make(random_source& source) {
        return source() % 2 == 0 ? std::make_unique<T>(random_value<std::remove_const_t<T>>(source))
                                 : nullptr;
    }
};

template <class T>
struct random_maker<std::shared_ptr<T>> {
    static std::shared_ptr<T> make(random_source& source) {
        return source() % 2 == 0 ? std::make_shared<T>(random_value<std::remove_const_t<T>>(source))
                                 : nullptr;
    }
};

template <>
struct random_maker<std::monostate> {
    static std::monostate make(random_source&) { return {}; }
};

template <class... Ts>
struct random_maker<std::variant<Ts...>> {
    static std::variant<Ts...> make(random_source& source) {
        using variant = std::variant<Ts...>;
        using maker = variant (*)(random_source&);
        return []<std::size_t... I>(std::index_sequence<I...>, random_source & from) {
            constexpr maker makers[] = {
                [](random_source& s) { return variant(std::in_place_index<I>, random_value<Ts>(s)); }...};
            return makers[random_below(from, sizeof...(Ts))](from);
        }
        (std::index_sequence_for<Ts...>{}, source);
    }
};

template <class Rep, class Period>
struct random_maker<std::chrono::duration<Rep, Period>> {
    static std::chrono::duration<Rep, Period> make(random_source& source) {
        return std::chrono::duration<Rep, Period>(random_value<Rep>(source));
    }
};

template <class Clock, class Duration>
struct random_maker<std::chrono::time_point<Clock, Duration>> {
    static std::chrono::time_point<Clock, Duration> make(random_source& source) {
        return std::chrono::time_point<Clock, Duration>(random_value<Duration>(source));
    }
};

} // namespace forkflow_test
