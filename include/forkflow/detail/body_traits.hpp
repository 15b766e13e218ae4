// SPDX-License-Identifier: MIT
// What the type of a body tells: its parameters and result, and which alternatives of a variant it takes.
#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

#include <forkflow/codec.hpp>

namespace forkflow {
template <class Result>
class result_writer;
}

namespace forkflow::detail {

/// What a signature takes and gives: a message, and perhaps a result_writer as well. Empty for others.
template <class Result, class... Parameters>
struct signature {};
template <class Result, class Parameter>
struct signature<Result, Parameter> {
    using result = Result;
    using parameter = Parameter;
};
template <class Parameter, class Result>
struct signature<void, Parameter, result_writer<Result>&> {
    using result = Result;
    using parameter = Parameter;
    using writer = result_writer<Result>;
};

/// The signature of a member function, without its object (for function objects) or with it.
template <class Function>
struct member_signature;
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...)> {
    using call = signature<R, P...>;
    using call_on_object = signature<R, C, P...>;
};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...) const> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...) noexcept> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...) const noexcept> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...)&> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...) const&> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...)& noexcept> : member_signature<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct member_signature<R (C::*)(P...) const& noexcept> : member_signature<R (C::*)(P...)> {};

/// What a call of Body takes and gives; empty if it is generic or overloaded.
template <class Body>
struct call_signature {};
// Of an overloaded operator these see the one that takes one argument, if there is only one.
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P));
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) const);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) noexcept);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) const noexcept);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) &);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) const&);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) & noexcept);
template <class C, class R, class P>
signature<R, P> unary_operator(R (C::*)(P) const& noexcept);

template <class Body>
requires requires {
    unary_operator(&Body::operator());
}
struct call_signature<Body> : decltype(unary_operator(&Body::operator())) {};
template <class Body>
requires(
    !requires { unary_operator(&Body::operator()); } &&
    requires { &Body::operator(); }) struct call_signature<Body>
    : member_signature<decltype(&Body::operator())>::call {
};
template <class R, class... P>
struct call_signature<R (*)(P...)> : signature<R, P...> {};
template <class R, class... P>
struct call_signature<R (*)(P...) noexcept> : signature<R, P...> {};
template <class R, class C>
requires std::is_function_v<R>
struct call_signature<R C::*> : member_signature<R C::*>::call_on_object {
};
template <class R, class C>
requires(!std::is_function_v<R>) struct call_signature<R C::*> : signature<R, C> {
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

template <class T>
inline constexpr bool is_variant = false;
template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;

template <class T, class Variant>
inline constexpr bool is_alternative = false;
template <class T, class... Ts>
inline constexpr bool is_alternative<T, std::variant<Ts...>> = (std::is_same_v<T, Ts> || ...);

/// What a worker makes of a Message for Body: a view in place if Body has one signature and takes one.
template <class Body, class Message>
struct argument_for {
    using type = Message;
    using parameter = const Message&;
};
template <has_signature Body, class Message>
struct argument_for<Body, Message> {
    using parameter = typename call_signature<std::decay_t<Body>>::parameter;
    using type =
        std::conditional_t<decodes_in_place<Message, parameter>, std::remove_cvref_t<parameter>, Message>;
};

/// Whether Body writes its result in place.
template <class Body>
concept writes_result = requires {
    typename call_signature<std::decay_t<Body>>::writer;
};

/// How Body is called in a worker, where its argument is a value of the worker's own: it is moved into a
/// parameter that is a value; other parameters are references to it, const if they may be.
template <class Body>
inline constexpr bool wants_value = false;
template <has_signature Body>
inline constexpr bool wants_value<Body> =
    !std::is_reference_v<typename call_signature<std::decay_t<Body>>::parameter>;

template <class Body, class Argument, class... More>
struct call_like {
    static constexpr bool given = std::is_invocable_v<Body&, Argument&&, More...>;
    static constexpr bool shared =
        std::is_invocable_v<Body&, const Argument&, More...> && !(given && wants_value<Body>);
};
template <class Body, class Argument>
struct call_with : call_like<Body, Argument> {};
template <writes_result Body, class Argument>
struct call_with<Body, Argument>
    : call_like<Body, Argument, typename call_signature<std::decay_t<Body>>::writer&> {};
template <class Body, class Message>
using call_for = call_with<Body, typename argument_for<Body, Message>::type>;

/// True if Body takes Message as a worker would give it.
template <class Body, class Message>
inline constexpr bool takes = call_for<Body, Message>::shared || call_for<Body, Message>::given;

/// What Body gives for Message, in a worker.
template <class Body, class Message>
struct result_for {
    using argument = typename argument_for<Body, Message>::type;
    using type = std::invoke_result_t<
        Body&, std::conditional_t<call_for<Body, Message>::shared, const argument&, argument&&>>;
};
template <writes_result Body, class Message>
struct result_for<Body, Message> {
    using type = typename call_signature<std::decay_t<Body>>::result;
};
template <class Body, class Message>
using result_for_t = std::remove_cvref_t<typename result_for<Body, Message>::type>;

} // namespace forkflow::detail
