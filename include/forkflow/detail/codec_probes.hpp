// SPDX-License-Identifier: MIT
// What an aggregate shows of its members before anybody names them: how many there are, and of which kinds.
// It shows it by what it can be initialised from.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace forkflow::detail {

/// The most members that are looked at.
inline constexpr std::size_t max_members = 16;

// Become a member of T: any; one of a type that satisfies Is; a base of T. None is ever made; but clang++
// warns of functions without a body.
template <class T>
struct any_member {
    template <class U>
    requires(!std::is_base_of_v<U, T>) operator U() const { std::abort(); }
};
template <template <class> class Is>
struct member_that {
    template <class U>
    requires(Is<U>::value) operator U() const { std::abort(); }
};
template <class T>
struct base_of {
    template <class U>
    requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U() const { std::abort(); }
};

/// Whether T can be made from N values of any type and then the Rest.
template <class T, std::size_t N, class... Rest>
inline constexpr bool made_of = []<std::size_t... I>(std::index_sequence<I...>) {
    return requires {
        T{(static_cast<void>(I), any_member<T>{})..., Rest{}...};
    };
}
(std::make_index_sequence<N>{});

template <class T>
inline constexpr bool has_base = requires {
    T{base_of<T>{}};
};

/// Whether an aggregate T shows a member that satisfies Is: among its first members, or at the front of what
/// these hold.
template <template <class> class Is, class T>
inline constexpr bool has_member = false;
template <template <class> class Is, class T>
requires(std::is_aggregate_v<T> && !std::is_array_v<T>) inline constexpr bool has_member<Is, T> = [
]<std::size_t... I>(std::index_sequence<I...>) {
    return (made_of<T, I, member_that<Is>> || ...);
}
(std::make_index_sequence<max_members>{});

/// How many members an aggregate T has, each element of a C array for one: at most max_members + 1. Without
/// the last of them another may follow nonetheless, if it has no default, so the numbers are tried all.
template <class T>
inline constexpr std::size_t member_count = []<std::size_t... I>(std::index_sequence<I...>) {
    std::size_t most = 0;
    static_cast<void>(((made_of<T, I> ? most = I : most), ...));
    return most;
}
(std::make_index_sequence<max_members + 2>{});

/// Whether a member of T is a C array: then two values in braces take the place of more than one value.
template <class T>
inline constexpr bool has_c_array = []<std::size_t... I>(std::index_sequence<I...>) {
    [[maybe_unused]] constexpr auto at =
        []<std::size_t... B, std::size_t... A>(std::index_sequence<B...>, std::index_sequence<A...>) {
        using any = any_member<T>;
        return requires {
            T{(static_cast<void>(B), any{})..., {any{}, any{}}};
        }
        &&!requires {
            T{(static_cast<void>(B), any{})..., {any{}, any{}}, (static_cast<void>(A), any{})...};
        };
    };
    return (at(std::make_index_sequence<I>{}, std::make_index_sequence<member_count<T> - I - 1>{}) || ...);
}
(std::make_index_sequence<member_count<T>>{});

} // namespace forkflow::detail
