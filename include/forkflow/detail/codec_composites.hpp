// SPDX-License-Identifier: MIT
// Codecs of the standard types that hold a fixed number of values, one of several, or perhaps none.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <version>

#ifdef __cpp_lib_expected
#include <expected>
#endif

#include <forkflow/detail/codec_core.hpp>

namespace forkflow::detail {

template <copied_as_bytes T, std::size_t N>
struct standard_codec<std::array<T, N>> : bytes_codec<std::array<T, N>> {};

// Not an empty class, yet without a byte that means anything.
template <encodable T>
struct standard_codec<std::array<T, 0>> : leaf_codec {
    static void encode(const std::array<T, 0>&, writer&) {}
    static std::array<T, 0> decode(reader&) { return {}; }
};

template <copied_by_codec T, std::size_t N>
struct standard_codec<std::array<T, N>> {
    static void encode(const std::array<T, N>& elements, writer& to) {
        for (const T& element : elements) {
            forkflow::encode(to, element);
        }
    }

    static std::array<T, N> decode(reader& from) {
        if constexpr (std::default_initializable<T> && std::is_move_assignable_v<T>) {
            std::array<T, N> elements;
            for (T& element : elements) {
                element = forkflow::decode<T>(from);
            }
            return elements;
        } else {
            return [&from]<std::size_t... I>(std::index_sequence<I...>) {
                return std::array<T, N>{{(static_cast<void>(I), forkflow::decode<T>(from))...}};
            }
            (std::make_index_sequence<N>{});
        }
    }
};

template <encodable First, encodable Second>
struct standard_codec<std::pair<First, Second>> {
    static void encode(const std::pair<First, Second>& value, writer& to) {
        forkflow::encode(to, value.first);
        forkflow::encode(to, value.second);
    }

    static std::pair<First, Second> decode(reader& from) {
        // Braces, as they fix the order.
        return std::pair<First, Second>{forkflow::decode<First>(from), forkflow::decode<Second>(from)};
    }
};

template <encodable... Ts>
struct standard_codec<std::tuple<Ts...>> {
    static void encode(const std::tuple<Ts...>& value, writer& to) {
        std::apply([&](const Ts&... elements) { (forkflow::encode(to, elements), ...); }, value);
    }

    static std::tuple<Ts...> decode([[maybe_unused]] reader& from) {
        return std::tuple<Ts...>{forkflow::decode<Ts>(from)...};
    }
};

// A byte that says whether a value follows, and the value.
template <class Maybe>
void encode_maybe(const Maybe& maybe, writer& to) {
    to.write_value(static_cast<bool>(maybe));
    if (maybe) {
        forkflow::encode(to, *maybe);
    }
}

template <encodable T>
struct standard_codec<std::optional<T>> {
    static void encode(const std::optional<T>& value, writer& to) { encode_maybe(value, to); }

    static std::optional<T> decode(reader& from) {
        if (!from.read_value<bool>()) {
            return std::nullopt;
        }
        return std::optional<T>(std::in_place, forkflow::decode<T>(from));
    }
};

// Of an object with virtual functions perhaps only a part is known by its static type.
template <class T>
concept encodable_pointee = encodable<T> &&(!std::is_polymorphic_v<T> || std::is_final_v<T>);

template <encodable_pointee T>
struct standard_codec<std::unique_ptr<T>> {
    static void encode(const std::unique_ptr<T>& value, writer& to) { encode_maybe(value, to); }

    static std::unique_ptr<T> decode(reader& from) {
        return from.read_value<bool>() ? std::make_unique<T>(forkflow::decode<T>(from)) : nullptr;
    }
};

template <encodable_pointee T>
struct standard_codec<std::shared_ptr<T>> {
    static void encode(const std::shared_ptr<T>& value, writer& to) { encode_maybe(value, to); }

    static std::shared_ptr<T> decode(reader& from) {
        return from.read_value<bool>() ? std::make_shared<T>(forkflow::decode<T>(from)) : nullptr;
    }
};

// The index of the alternative, in one byte if that holds all of them, and the alternative.
template <encodable... Ts>
struct standard_codec<std::variant<Ts...>> {
    using variant = std::variant<Ts...>;
    using index_type = std::conditional_t<sizeof...(Ts) <= 256, std::uint8_t, std::uint32_t>;

    static void encode(const variant& value, writer& to) {
        if (value.valueless_by_exception()) {
            throw std::bad_variant_access();
        }
        to.write_value(static_cast<index_type>(value.index()));
        std::visit([&to](const auto& alternative) { forkflow::encode(to, alternative); }, value);
    }

    static variant decode(reader& from) { return decode_from<0>(from.read_value<index_type>(), from); }

private:
    template <std::size_t I>
    static variant decode_from(std::size_t index, reader& from) {
        if constexpr (I == sizeof...(Ts)) {
            throw not_decodable("forkflow: a variant of " + std::to_string(I) +
                                " alternatives has no alternative " + std::to_string(index));
        } else if (index == I) {
            return variant(std::in_place_index<I>,
                           forkflow::decode<std::variant_alternative_t<I, variant>>(from));
        } else {
            return decode_from<I + 1>(index, from);
        }
    }
};

// A category is an object of the program: its address is not believed when it comes from another process.
template <class Error>
struct error_codec : leaf_codec {
    static void encode(const Error& error, writer& to) {
        if (error.category() != std::system_category() && error.category() != std::generic_category()) {
            throw std::invalid_argument(std::string("forkflow: an error of the category ") +
                                        error.category().name() +
                                        " cannot be sent: only system_category and generic_category can");
        }
        to.write_value(error.category() == std::system_category());
        to.write_value(error.value());
    }

    static Error decode(reader& from) {
        const bool of_system = from.read_value<bool>();
        return Error(from.read_value<int>(), of_system ? std::system_category() : std::generic_category());
    }
};
template <>
struct standard_codec<std::error_code> : error_codec<std::error_code> {};
template <>
struct standard_codec<std::error_condition> : error_codec<std::error_condition> {};

#ifdef __cpp_lib_expected
template <class T>
concept encodable_or_void = encodable<T> || std::is_void_v<T>;

template <encodable_or_void T, encodable E>
struct standard_codec<std::expected<T, E>> {
    static void encode(const std::expected<T, E>& value, writer& to) {
        to.write_value(value.has_value());
        if (!value.has_value()) {
            forkflow::encode(to, value.error());
        } else if constexpr (!std::is_void_v<T>) {
            forkflow::encode(to, *value);
        }
    }

    static std::expected<T, E> decode(reader& from) {
        if (!from.read_value<bool>()) {
            return std::expected<T, E>(std::unexpect, forkflow::decode<E>(from));
        }
        if constexpr (std::is_void_v<T>) {
            return {};
        } else {
            return std::expected<T, E>(std::in_place, forkflow::decode<T>(from));
        }
    }
};
#endif

} // namespace forkflow::detail
