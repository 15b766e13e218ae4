// SPDX-License-Identifier: MIT
// Which types are no more than their bytes, and the codec for them.
#pragma once

#include <bit>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <version>

#ifdef __cpp_lib_source_location
#include <source_location>
#endif

#include <forkflow/detail/codec_probes.hpp>
#include <forkflow/nodes/bytes.hpp>

namespace forkflow::detail {

template <class T>
struct is_pointer_like
    : std::bool_constant<std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>> {};

template <>
struct is_pointer_like<std::type_index> : std::true_type {};
#ifdef __cpp_lib_source_location
template <>
struct is_pointer_like<std::source_location> : std::true_type {};
#endif

template <class T>
struct is_view : std::is_reference<T> {};
template <class C, class Traits>
struct is_view<std::basic_string_view<C, Traits>> : std::true_type {};
template <class T, std::size_t N>
struct is_view<std::span<T, N>> : std::true_type {};
template <class T>
struct is_view<std::reference_wrapper<T>> : std::true_type {};
template <class T>
struct is_view<std::initializer_list<T>> : std::true_type {};

// Whether T, or a type that T is made of as far as its name shows it, satisfies Is. So an optional<int*> or
// an array<string_view, 2>, trivially copyable as they are, do not pass for bytes.
template <template <class> class Is, class T>
struct any_within : Is<T> {};
template <template <class> class Is, class T>
struct any_within<Is, const T> : any_within<Is, T> {};
template <template <class> class Is, template <class...> class C, class... Parts>
struct any_within<Is, C<Parts...>> : std::disjunction<Is<C<Parts...>>, any_within<Is, Parts>...> {};
template <template <class> class Is, template <class, std::size_t> class C, class T, std::size_t N>
struct any_within<Is, C<T, N>> : std::disjunction<Is<C<T, N>>, any_within<Is, T>> {};

// An iterator, or a view of ranges: what it leads to is elsewhere, though its type's name need not show it.
template <class T>
struct is_position : std::false_type {};
template <class T>
requires(std::is_class_v<T> && (std::input_or_output_iterator<T> ||
                                std::ranges::enable_view<T>)) struct is_position<T> : std::true_type {
};

// What means nothing in another process.
template <class T>
struct is_address : std::disjunction<any_within<is_pointer_like, T>, any_within<is_view, T>, is_position<T>> {
};

template <class T>
concept plain_bytes =
    std::is_trivially_copyable_v<T> && std::is_move_constructible_v<T> && !std::is_array_v<T> &&
    std::is_same_v<T, std::remove_cv_t<T>> && !is_address<T>::value && !has_member<is_address, T>;

// The base of codecs that call no other codec, so that they add no level of nesting.
struct leaf_codec {};

} // namespace forkflow::detail

namespace forkflow {

/// The codec of types that are their bytes; built in for trivially copyable types in which no address shows.
/// Inherit from it to send another trivially copyable type so: `template <> struct forkflow::codec<T> :
/// forkflow::bytes_codec<T> {};`. A pointer then arrives as it was: of use only for what was there before the
/// workers were forked, and stays there. An empty class has one byte, as it has in memory.
template <class T>
struct bytes_codec : detail::leaf_codec {
    static void encode(const T& value, nodes::byte_writer& to) {
        if constexpr (std::is_empty_v<T>) {
            to.write_value(std::byte{0});
        } else {
            to.write_value(value);
        }
    }

    static T decode(nodes::byte_reader& from) { return from.read_value<T>(); }
};

} // namespace forkflow
