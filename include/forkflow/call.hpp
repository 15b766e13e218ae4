// SPDX-License-Identifier: MIT
// forkflow::call<R>: a message that is a function and its arguments.
//
//     forkflow::ordered_process_queue<forkflow::call<double>, double> queue(4);
//     queue.put(forkflow::call<double>(integrate, 0.0, 1.0));
//     queue.put(forkflow::call<double>([](const std::string& text) { return std::stod(text); }, "2.5"s));
#pragma once

#include <forkflow/codec.hpp>
#include <forkflow/detail/call_state.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace forkflow {

/// A function and its arguments, to be run in a worker process. R is what it gives: a value with a codec, or
/// void.
///
/// **Functions**: pointers to functions, lambdas without captures, and function objects that have a codec
/// (those that are trivially copyable have). What a worker runs is its own copy of the function, in the
/// program or library that it was forked with; a function of a library that was loaded later is refused: the
/// message fails (not_decodable). Members are called through a lambda. A call is no result: one that a body
/// returns is a failure (not_encodable).
///
/// **Arguments** are copied or moved into the call, as std::thread does, and need a codec. The function is
/// called with rvalues of its own. Pointers, references, views and reference wrappers are refused by the
/// compiler.
///
/// **Captures.** What a lambda captures by value travels, if it is trivially copyable. What it captures by
/// reference no compiler can see; but a function object that holds the address of a variable, or of anything
/// else of this process that is not part of the program or of a library, is refused when it is put: the
/// message fails (not_encodable). So is one that only looks so, as a large number may by chance: pass it as
/// an argument. A function object whose codec is bytes_codec is not looked at; nor is, without g++, one that
/// has padding or holds a floating-point number.
///
/// **Copies** share function and arguments. Copying, encoding and destroying are thread-safe.
template <class R>
class call {
    static_assert(std::is_void_v<R> || std::is_same_v<R, std::remove_cvref_t<R>>,
                  "forkflow: a call gives a value or void: call<R> takes no reference and no const");

public:
    /// What running it gives: R, or std::monostate if R is void, so that it can be a message.
    using result_type = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

    /// No call: it cannot be sent. For containers and nodes that want a value to begin with.
    call() = default;

    /// A call of `function` with `arguments`. Throws std::invalid_argument if `function` is a null pointer.
    template <class Function, class... Arguments>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, call>) explicit call(Function&& function,
                                                                                 Arguments&&... arguments)
        : state_(detail::make_call_state<result_type, R>(std::forward<Function>(function),
                                                         std::forward<Arguments>(arguments)...)) {}

    /// Calls the function, here and now. It uses up the arguments, those of copies too. Throws what the
    /// function throws; std::bad_function_call if this is no call.
    result_type operator()() && {
        if (state_ == nullptr) {
            throw std::bad_function_call();
        }
        return state_->run();
    }

private:
    friend struct codec<call>;
    explicit call(std::shared_ptr<detail::call_state<result_type>> state)
        : state_(std::move(state)) {}

    std::shared_ptr<detail::call_state<result_type>> state_;
};

/// What a call is on the wire: where the code is that can read the rest, and the rest.
template <class R>
struct codec<call<R>> {
    using state = detail::call_state<typename call<R>::result_type>;

    static void encode(const call<R>& value, writer& to) {
        if (value.state_ == nullptr) {
            throw std::bad_function_call();
        }
        if (to.references() == nullptr) {
            throw std::invalid_argument("forkflow: a worker cannot send a call");
        }
        value.state_->encode(to);
    }
    /// Jumps to where the bytes say, so they must be the parent's.
    static call<R> decode(reader& from) {
        if (!from.may_refer()) {
            throw not_decodable("forkflow: a worker cannot send a call");
        }
        const auto place = from.read_value<nodes::code_location>();
        return call<R>(reinterpret_cast<typename state::decoder>(nodes::address_of(place))(from));
    }
};

/// The body for messages that are calls: runs them. Bodies that take other messages too may be composed with
/// it.
struct run_call {
    template <class R>
    typename call<R>::result_type operator()(call<R>&& message) const {
        return std::move(message)();
    }
};

namespace detail {

template <class T>
inline constexpr bool is_call = false;
template <class R>
inline constexpr bool is_call<call<R>> = true;

/// Whether run_call takes an Input, or some of its alternatives.
template <class Input>
inline constexpr bool has_calls = is_call<Input>;
template <class... Ts>
inline constexpr bool has_calls<std::variant<Ts...>> = (is_call<Ts> || ...);

} // namespace detail
} // namespace forkflow
