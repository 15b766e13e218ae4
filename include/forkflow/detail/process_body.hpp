// SPDX-License-Identifier: MIT
// What may be the body of a node, as concepts: the compiler's message names the one that is not met.
#pragma once

#include <forkflow/detail/body_traits.hpp>

#include <concepts>
#include <type_traits>
#include <variant>

namespace forkflow::detail {

template <class Body, class Input>
inline constexpr bool takes_some_of = takes<Body, Input>;
template <class Body, class... Ts>
inline constexpr bool takes_some_of<Body, std::variant<Ts...>> = takes<Body, std::variant<Ts...>> ||
                                                                 (takes<Body, Ts> || ...);

/// What becomes of a Message: what the body returns, or, for a marker, the message itself.
template <class Body, class Message>
struct outcome_for {
    using type = Message;
};
template <class Body, class Message>
requires takes<Body, Message>
struct outcome_for<Body, Message> {
    using type = result_for_t<Body, Message>;
};

template <class Body, class Input, class Output>
struct outcomes_fit {
    static constexpr bool value = std::is_constructible_v<Output, typename outcome_for<Body, Input>::type>;
};
template <class Body, class... Ts, class Output>
requires(!takes<Body, std::variant<Ts...>>) struct outcomes_fit<Body, std::variant<Ts...>, Output> {
    static constexpr bool value =
        (std::is_constructible_v<Output, typename outcome_for<Body, Ts>::type> && ...);
};

/// std::invoke can call Body with an Input or, if that is a std::variant, with one of its alternatives.
template <class Body, class Input>
concept body_takes_input = takes_some_of<Body, Input>;

/// An Output can be made from whatever Body returns, and from each alternative of Input that Body does not
/// take (a marker).
template <class Body, class Input, class Output>
concept output_holds_outcomes = outcomes_fit<Body, Input, Output>::value;

/// A body for a node from Input to Output.
template <class Body, class Input, class Output>
concept process_body = std::copy_constructible<Body> && body_takes_input<Body, Input> &&
    output_holds_outcomes<Body, Input, Output>;

// Why something is no body: at most one of these holds, for the sentence with which it is refused.
template <class Body, class Input>
concept copyable_but_refuses_input = std::copy_constructible<Body> && !body_takes_input<Body, Input>;
template <class Body, class Input, class Output>
concept takes_input_but_gives_no_output = std::copy_constructible<Body> && body_takes_input<Body, Input> &&
    !output_holds_outcomes<Body, Input, Output>;

} // namespace forkflow::detail
