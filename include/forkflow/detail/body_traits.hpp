// SPDX-License-Identifier: MIT
// What the type of a body tells: its parameter and result, and which alternatives of a variant it takes.
#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

namespace forkflow::detail {

template <class Signature>
struct signature_of;

template <class Result, class Parameter>
struct signature_of<Result(Parameter)> {
    using result = Result;
    using parameter = Parameter;
};

/// What a call of Body takes and gives; empty if it is generic or overloaded.
template <class Body>
struct call_signature {};
// Of an overloaded operator these see the one that takes one argument, if there is only one.
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P));
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) const);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) noexcept);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) const noexcept);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) &);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) const&);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) & noexcept);
template <class C, class R, class P>
signature_of<R(P)> unary_operator(R (C::*)(P) const& noexcept);

template <class Body>
requires requires {
    unary_operator(&Body::operator());
}
struct call_signature<Body> : decltype(unary_operator(&Body::operator())) {};
template <class R, class P>
struct call_signature<R (*)(P)> : signature_of<R(P)> {};
template <class R, class P>
struct call_signature<R (*)(P) noexcept> : signature_of<R(P)> {};
template <class R, class C>
struct call_signature<R (C::*)()> : signature_of<R(C)> {};
template <class R, class C>
struct call_signature<R (C::*)() const> : signature_of<R(C)> {};
template <class R, class C>
struct call_signature<R (C::*)() noexcept> : signature_of<R(C)> {};
template <class R, class C>
struct call_signature<R (C::*)() const noexcept> : signature_of<R(C)> {};
template <class R, class C>
requires(!std::is_function_v<R>) struct call_signature<R C::*> : signature_of<R(C)> {
};

/// A body with one signature: not generic, not overloaded.
template <class Body>
concept has_signature = requires {
    typename call_signature<std::decay_t<Body>>::parameter;
};

/// What a node made from Body takes and gives, for deduction guides.
template <has_signature Body>
using input_of = std::remove_cvref_t<typename call_signature<std::decay_t<Body>>::parameter>;
template <has_signature Body>
using output_of = std::remove_cvref_t<typename call_signature<std::decay_t<Body>>::result>;

/// The type that Body wants for Message: its own parameter's if it has one signature.
template <class Body, class Message>
struct parameter_for {
    using type = const Message&;
};
template <has_signature Body, class Message>
struct parameter_for<Body, Message> {
    using type = typename call_signature<std::decay_t<Body>>::parameter;
};

template <class T>
inline constexpr bool is_variant = false;
template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;

template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Ts>
inline constexpr bool is_alternative<T, std::variant<Ts...>> = (std::is_same_v<T, Ts> || ...);

/// True if Body takes Message as a worker would give it.
template <class Body, class Message>
inline constexpr bool takes =
    std::is_invocable_v<Body&, const Message&> || std::is_invocable_v<Body&, Message&&>;

/// What Body gives for Message, in a worker, where the message is a value of the worker's own.
template <class Body, class Message>
struct result_for {
    using type = std::invoke_result_t<Body&, const Message&>;
};
template <class Body, class Message>
requires(!std::is_invocable_v<Body&, const Message&>) struct result_for<Body, Message> {
    using type = std::invoke_result_t<Body&, Message&&>;
};
template <class Body, class Message>
using result_for_t = std::remove_cvref_t<typename result_for<Body, Message>::type>;

} // namespace forkflow::detail
