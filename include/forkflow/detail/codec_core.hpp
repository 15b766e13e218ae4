// SPDX-License-Identifier: MIT
// The customisation point codec<T>, and the functions that codecs call for their parts.
// Users include forkflow/codec.hpp.
#pragma once

#include <concepts>
#include <type_traits>

#include <forkflow/detail/codec_traits.hpp>
#include <forkflow/nodes/bytes.hpp>

namespace forkflow {

/// Where encoders write. Its interface: write, write_value, size. See forkflow/nodes/bytes.hpp.
using writer = nodes::byte_writer;
/// Where decoders read. Its interface: read, read_value, take, remaining. See forkflow/nodes/bytes.hpp.
using reader = nodes::byte_reader;

namespace detail {
// What is built in; empty for types that have no codec.
template <class T>
struct standard_codec {};

template <plain_bytes T>
struct standard_codec<T> : bytes_codec<T> {};

// Not just its byte: only two of the 256 are values.
template <>
struct standard_codec<bool> : leaf_codec {
    static void encode(bool value, writer& to) { to.write_value(value); }
    static bool decode(reader& from) { return from.read_value<bool>(); }
};
} // namespace detail

/// How a T becomes bytes and is made from bytes again. Specialise it for types of your own, with the two
/// functions shown at the head of forkflow/codec.hpp, or inherit aggregate_codec<T>, members_codec<T, ...> or
/// bytes_codec<T>:
///
///     static void encode(const T& value, forkflow::writer& to);
///     static T decode(forkflow::reader& from);
///
/// `decode` reads exactly what `encode` wrote. It trusts nothing it reads: the bytes may come from a process
/// that is broken. What either throws makes the message a failure, and nothing else suffers.
///
/// Thread safety: in the parent, messages may be encoded in any thread, and in several at once: in those that
/// put or, for what a node had queued or pulls, in tasks of the graph; outcomes are decoded one at a time,
/// while others may be encoded. In a worker both are done by the thread that runs the body.
/// Cost: a `decode` of outcomes that takes long bounds the whole stream.
///
/// A codec that writes what the codec of another type writes may say so: `using encoded_as = std::string;`.
/// Then bodies can see and write a T in place, as they can that type. A codec that only reads makes T a view:
/// a body that takes it is given its request in place, where Input is the type that is named (see
/// decodes_in_place).
template <class T, class Enable = void>
struct codec : detail::standard_codec<T> {};

/// Whether T can be sent to another process. Substitution failure, never an error.
template <class T>
concept encodable = std::is_object_v<T> && requires(const T& value, writer& to, reader& from) {
    codec<std::remove_cv_t<T>>::encode(value, to);
    { codec<std::remove_cv_t<T>>::decode(from) } -> std::same_as<std::remove_cv_t<T>>;
};

namespace detail {
// T is its bytes: no codec of its own stands between them.
template <class T>
concept copied_as_bytes = std::is_base_of_v<bytes_codec<T>, codec<T>>;
// Reaching T means calling a codec: the standard one of a composite, or a user's.
template <class T>
concept copied_by_codec = encodable<T> && !copied_as_bytes<T>;

template <class T>
concept adds_no_level = std::is_base_of_v<leaf_codec, codec<T>>;

template <class T>
inline constexpr bool never = false;
} // namespace detail

/// Does nothing if T is encodable, and otherwise stops the compiler with one sentence that says what to do.
template <class T>
consteval void require_encodable() {
    if constexpr (encodable<T>) {
    } else if constexpr (detail::any_within<detail::is_pointer_like, T>::value) {
        static_assert(detail::never<T>, "forkflow: a raw pointer means nothing in another process: send the "
                                        "value itself, or hold it in a std::unique_ptr or std::optional");
    } else if constexpr (detail::any_within<detail::is_view, T>::value || detail::is_position<T>::value) {
        static_assert(
            detail::never<T>,
            "forkflow: a reference or a view does not own what it shows, so it cannot be sent: send "
            "std::string or std::vector; the body may still take std::string_view or std::span");
    } else if constexpr (std::is_array_v<T>) {
        static_assert(detail::never<T>, "forkflow: a C array cannot be sent: use std::array or std::string");
    } else if constexpr (std::is_polymorphic_v<T>) {
        static_assert(detail::never<T>,
                      "forkflow: of a class with virtual functions, and of what is derived from it, not all "
                      "is known: specialise forkflow::codec<T>, or include forkflow/cereal.hpp");
    } else if constexpr (detail::has_member<detail::is_address, T>) {
        static_assert(detail::never<T>,
                      "forkflow: this type has a pointer or a view among its members, which means nothing in "
                      "another process: hold the value itself, or specialise forkflow::codec<T>");
    } else {
        static_assert(
            detail::never<T>,
            "forkflow: this type, or a part of it, has no codec: if it is an aggregate, write "
            "template <> struct forkflow::codec<T> : forkflow::aggregate_codec<T> {}; otherwise "
            "specialise forkflow::codec<T> (see forkflow/codec.hpp), or include forkflow/cereal.hpp "
            "if it has cereal's functions");
    }
}

/// Appends `value` to `to`. Throws what the codecs of T and its parts throw; std::length_error if it is
/// nested deeper than nodes::max_nesting; std::bad_variant_access for a variant without a value. Costs one
/// comparison and a copy per contiguous piece.
template <class T>
void encode(writer& to, const T& value) {
    require_encodable<T>();
    if constexpr (encodable<T>) {
        if constexpr (detail::adds_no_level<std::remove_cv_t<T>>) {
            codec<std::remove_cv_t<T>>::encode(value, to);
        } else {
            const auto level = to.enter();
            codec<std::remove_cv_t<T>>::encode(value, to);
        }
    }
}

namespace detail {
// As decode(), also for views, which have no encode.
template <class T>
T decode_level(reader& from) {
    if constexpr (adds_no_level<T>) {
        return codec<T>::decode(from);
    } else {
        const auto level = from.enter();
        return codec<T>::decode(from);
    }
}
} // namespace detail

/// Makes a T from the next bytes of `from`. Throws not_decodable if they are none, and what the codecs of T
/// and its parts throw. Memory is taken only for what is there: a wrong length does not make it allocate.
template <class T>
[[nodiscard]] std::remove_cv_t<T> decode(reader& from) {
    require_encodable<T>();
    if constexpr (encodable<T>) {
        return detail::decode_level<std::remove_cv_t<T>>(from);
    } else {
        throw not_decodable("forkflow: no codec"); // Not reached: the compiler has stopped.
    }
}

} // namespace forkflow
