// SPDX-License-Identifier: MIT
// Codecs made of the members of a class, for classes of the user's that join with one line.
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <forkflow/detail/codec_core.hpp>
#include <forkflow/detail/codec_members.hpp>

namespace forkflow {
namespace detail {

/// Whether aggregate_codec<T> can take T apart; if not, stops the compiler with one sentence that says why.
template <class T>
consteval bool decomposes() {
    if constexpr (!std::is_aggregate_v<T>) {
        static_assert(never<T>,
                      "forkflow: aggregate_codec is for aggregates, and this class has constructors, "
                      "private members or virtual functions: list its members with members_codec, "
                      "or give forkflow::codec<T> the functions encode and decode");
    } else if constexpr (has_base<T>) {
        static_assert(never<T>,
                      "forkflow: aggregate_codec does not see the members of a base class: list all "
                      "members with members_codec");
    } else if constexpr (!std::is_move_assignable_v<T>) {
        static_assert(never<T>,
                      "forkflow: aggregate_codec cannot make a member that is const or a reference: "
                      "give forkflow::codec<T> the functions encode and decode");
    } else if constexpr (has_c_array<T>) {
        static_assert(never<T>, "forkflow: a C array cannot be sent: use std::array for this member");
    } else if constexpr (member_count<T> > max_members) {
        static_assert(never<T>, "forkflow: aggregate_codec takes at most 16 members: list them with "
                                "members_codec");
    } else {
        return true;
    }
    return false;
}

/// The type of a member of T, from a pointer to it, which may be to a member of a base of T.
template <class T, auto Member>
using member_type = std::remove_cvref_t<decltype(std::declval<T&>().*Member)>;

} // namespace detail

/// The codec of an aggregate that is its members, if each of them is encodable: at most 16, no base classes,
/// no C arrays, no bit-fields, no anonymous unions. To be inherited, behind the class:
///
///     struct page { std::string url; std::vector<int> links; };
///     template <> struct forkflow::codec<page> : forkflow::aggregate_codec<page> {};
template <class T>
struct aggregate_codec {
    static void encode(const T& value, writer& to) {
        if constexpr (detail::decomposes<T>()) {
            detail::visit_members<detail::member_count<T>>(
                value, [&to](const auto&... members) { (forkflow::encode(to, members), ...); });
        }
    }

    static T decode(reader& from) {
        if constexpr (detail::decomposes<T>()) {
            using maker =
                decltype(detail::visit_members<detail::member_count<T>>(std::declval<T&>(), list{}));
            return maker::make(from);
        } else {
            throw not_decodable("forkflow: no codec"); // Not reached: the compiler has stopped.
        }
    }

private:
    template <class... Members>
    struct made_of {
        static T make([[maybe_unused]] reader& from) { return T{forkflow::decode<Members>(from)...}; }
    };
    struct list {
        template <class... Members>
        made_of<Members...> operator()(Members&...) const {
            return {};
        }
    };
};

/// The codec of a class T that is the given members, if each of them is encodable; members that are not
/// listed do not travel. For classes that can be made without arguments, with as many members as they like,
/// also inherited ones, and private ones if codec<T> is a friend. To be inherited, behind the class:
///
///     template <> struct forkflow::codec<page> : forkflow::members_codec<page, &page::url, &page::links> {};
template <class T, auto... Members>
struct members_codec {
    static_assert(std::default_initializable<T>,
                  "forkflow: members_codec makes a T without arguments and then its members: give "
                  "forkflow::codec<T> the functions encode and decode");
    static_assert((std::is_member_object_pointer_v<decltype(Members)> && ...),
                  "forkflow: members_codec lists members: members_codec<page, &page::url, &page::links>");

    static void encode(const T& value, writer& to) { (forkflow::encode(to, value.*Members), ...); }

    static T decode(reader& from) {
        T value{};
        ((value.*Members = forkflow::decode<detail::member_type<T, Members>>(from)), ...);
        return value;
    }
};

} // namespace forkflow
