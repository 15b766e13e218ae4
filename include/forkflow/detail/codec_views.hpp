// SPDX-License-Identifier: MIT
// Strings and blocks of elements seen in place, without a copy: for bodies that take a view of their request,
// or write their result where it is sent from.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <forkflow/detail/codec_core.hpp>
#include <forkflow/detail/codec_ranges.hpp>

namespace forkflow {
namespace detail {

template <class T>
concept viewable_element = copied_as_bytes<T> && alignof(T) <= nodes::payload_alignment;

// The element type that View shows in place; void if it is no such view.
template <class View>
struct view_of {
    using element = void;
};
template <viewable_element C, class Traits>
struct view_of<std::basic_string_view<C, Traits>> {
    using element = C;
};
template <viewable_element T>
struct view_of<std::span<const T>> {
    using element = T;
};

template <class View>
concept viewable = !std::is_void_v<typename view_of<View>::element>;

// The type whose standard codec writes what T's codec writes, if it is known: T itself, or what codec<T>
// says.
template <class T>
struct wire_type {
    using type = std::conditional_t<std::is_base_of_v<standard_codec<T>, codec<T>>, T, void>;
};
template <class T>
requires requires {
    typename codec<T>::encoded_as;
}
struct wire_type<T> : wire_type<typename codec<T>::encoded_as> {};

// The element type of the block that an Owner is on the wire; void if it is not one block.
template <class Owner>
struct block_of {
    using element = void;
};
template <class C, class Traits, class A>
struct block_of<std::basic_string<C, Traits, A>> {
    using element = std::conditional_t<copied_as_bytes<C>, C, void>;
};
template <class T, class A>
struct block_of<std::vector<T, A>> {
    using element = std::conditional_t<copied_as_bytes<T>, T, void>;
};
template <class Owner>
using block_element = typename block_of<typename wire_type<Owner>::type>::element;

// A view of the user's, that reads what Input's codec wrote.
template <class View, class Input>
concept declared_view = !std::is_same_v<View, Input> && requires(reader & from) {
    typename codec<View>::encoded_as;
    requires std::is_same_v<typename codec<View>::encoded_as, Input> ||
        (!std::is_void_v<typename wire_type<Input>::type> &&
         std::is_same_v<typename codec<View>::encoded_as, typename wire_type<Input>::type>);
    { codec<View>::decode(from) } -> std::same_as<View>;
};

// Inputs whose codec shows their bytes by itself.
template <class Input>
concept shows_bytes = requires(reader& from) {
    { codec<Input>::decode_bytes(from) } -> std::same_as<std::span<const std::byte>>;
};

template <class Input, class View>
consteval bool shows() {
    using shown = typename view_of<View>::element;
    using sent = block_element<Input>;
    if constexpr (std::is_void_v<shown>) {
        return declared_view<View, Input>;
    } else if constexpr (shows_bytes<Input>) {
        return std::is_same_v<View, std::span<const std::byte>>;
    } else if constexpr (std::is_void_v<sent>) {
        return false;
    } else if constexpr (std::is_same_v<View, std::span<const std::byte>>) {
        return true;
    } else {
        // Conversion rules out a string_view of a vector, and one with other character traits.
        return std::is_same_v<shown, sent> &&
               std::is_convertible_v<const typename wire_type<Input>::type&, View>;
    }
}

} // namespace detail

/// Whether a body whose parameter is `Parameter` (const and references aside) can be given an encoded Input
/// in place: std::string for std::string_view, std::vector<T> or std::basic_string<T> for std::span<const T>,
/// both, and a forkflow::buffer, for std::span<const std::byte>; T trivially copyable, and aligned to 16
/// bytes at most. So can an Input of the user's whose codec says that it is `encoded_as` one of these. And so
/// can a view of the user's: its codec names the Input whose encoding it reads, and needs no encode:
///
///     template <> struct forkflow::codec<page_view> {
///         using encoded_as = page;
///         static page_view decode(forkflow::reader& from) {
///             const auto url = forkflow::decode_view<std::string_view>(from);
///             return {url, forkflow::decode_view<std::span<const int>>(from)};
///         }
///     };
template <class Input, class Parameter>
inline constexpr bool decodes_in_place = detail::shows<Input, std::remove_cvref_t<Parameter>>();

/// Appends the characters of `text` as a std::basic_string would be; for codecs of strings of another kind.
template <detail::copied_as_bytes C, class Traits>
void encode_view(writer& to, std::basic_string_view<C, Traits> text) {
    detail::encode_block(text.data(), text.size(), to);
}

/// Appends `elements` as a std::vector would be; for codecs of sequences of another kind.
template <detail::copied_as_bytes T>
void encode_view(writer& to, std::span<const T> elements) {
    detail::encode_block(elements.data(), elements.size(), to);
}

/// Reads what a string or a vector, or encode_view(), wrote, as a std::basic_string_view<C> or
/// std::span<const T> into the bytes that `from` reads: no copy, valid only as long as these bytes.
/// Throws not_decodable if they are none. What it shows may change if the process that wrote it is broken.
template <detail::viewable View>
[[nodiscard]] View decode_view(reader& from) {
    using element = typename detail::view_of<View>::element;
    const auto elements = detail::as_elements<element>(detail::take_block<element>(from));
    return View(elements.data(), elements.size());
}

/// Decodes an Input for a body whose parameter is `Parameter`: as a view in place if
/// decodes_in_place<Input, Parameter>, otherwise as decode<Input>() does. Call the body with it in the same
/// expression, `std::invoke(body, decode_as<Input, Parameter>(from))`: a view is valid only as long as the
/// bytes that `from` reads, and an Input made here may be what a Parameter of reference type refers to.
template <class Input, class Parameter>
[[nodiscard]] decltype(auto) decode_as(reader& from) {
    using view = std::remove_cvref_t<Parameter>;
    if constexpr (!decodes_in_place<Input, Parameter>) {
        return decode<Input>(from);
    } else if constexpr (!detail::viewable<view>) {
        return detail::decode_level<view>(from);
    } else if constexpr (detail::shows_bytes<Input>) {
        return codec<Input>::decode_bytes(from);
    } else if constexpr (std::is_same_v<view, std::span<const std::byte>>) {
        return detail::take_block<detail::block_element<Input>>(from);
    } else {
        return decode_view<view>(from);
    }
}

} // namespace forkflow
