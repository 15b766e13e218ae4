// SPDX-License-Identifier: MIT
// One message's way through the body: how it is encoded in the parent, run in a worker, and decoded in the
// parent again.
#pragma once

#include <forkflow/codec.hpp>
#include <forkflow/detail/body_traits.hpp>
#include <forkflow/nodes/worker_body.hpp>
#include <forkflow/result_writer.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace forkflow::detail {

/// Codecs that read less than they wrote do not get by unseen.
inline void refuse_rest(const reader& from) {
    if (from.remaining() != 0) [[unlikely]] {
        throw not_decodable("forkflow: a codec left " + std::to_string(from.remaining()) +
                            " bytes of a message unread: decode() reads exactly what encode() wrote");
    }
}

/// Decodes what `from` has left, to the end.
template <class Value>
Value decode_whole(reader& from) {
    Value value = decode<Value>(from);
    refuse_rest(from);
    return value;
}

/// Calls `body` with what a worker made of a message, and with `more`.
template <class Body, class Argument, class... More>
decltype(auto) invoke_body(Body& body, Argument& argument, More&... more) {
    if constexpr (call_with<Body, Argument>::shared) {
        return std::invoke(body, std::as_const(argument), more...);
    } else {
        return std::invoke(body, std::move(argument), more...);
    }
}

/// Decodes a Message, runs `body` on it, and encodes what the body gave: behind `first_byte`, if there is
/// one.
template <class Message, class Body>
void run_body_on(Body& body, nodes::worker_call& call,
                 std::optional<std::uint8_t> first_byte = std::nullopt) {
    auto argument = decode_as<Message, typename argument_for<Body, Message>::parameter>(call.request);
    refuse_rest(call.request);
    call.stage = nodes::body_stage::running;
    if constexpr (writes_result<Body>) {
        try {
            result_writer<result_for_t<Body, Message>> result(call.result, first_byte);
            invoke_body(body, argument, result);
            if (call.result.size() == 0) {
                result.resize(0);
            }
        } catch (const result_too_large&) {
            if (!call.result.overflowed()) {
                throw;
            }
        }
    } else {
        const auto hand_in = [&](const result_for_t<Body, Message>& result) {
            call.stage = nodes::body_stage::encoding;
            if (first_byte) {
                call.result.write_value(*first_byte);
            }
            encode(call.result, result);
        };
        hand_in(invoke_body(body, argument));
    }
}

/// For an Input that the body takes as it is: every message is a request.
template <class Input, class Output, class Body>
struct whole_call {
    using result = result_for_t<Body, Input>;
    static_assert(std::is_constructible_v<Output, result>,
                  "forkflow: what the body returns does not make an Output");

    static constexpr bool has_markers = false;

    static bool is_marker(const Input& /*message*/) noexcept { return false; }
    static void encode_request(writer& to, const Input& message) { encode(to, message); }
    static void run(Body& body, nodes::worker_call& call) { run_body_on<Input>(body, call); }
    static Output decode_result(reader& from) { return Output(decode_whole<result>(from)); }

    /// Does nothing, or stops the compiler here, with the sentence of require_encodable.
    static consteval void require_codecs() {
        require_encodable<Input>();
        require_encodable<result>();
    }
};

/// For a variant of which the body takes some alternatives; the others are markers. A request begins with the
/// index of its alternative, and so does its result.
template <class Input, class Output, class Body>
struct alternative_call;

template <class... Ts, class Output, class Body>
struct alternative_call<std::variant<Ts...>, Output, Body> {
    using input = std::variant<Ts...>;

    template <class T>
    static consteval bool has_place() {
        if constexpr (takes<Body, T>) {
            return std::is_constructible_v<Output, result_for_t<Body, T>>;
        } else {
            return std::is_constructible_v<Output, T>;
        }
    }
    static_assert(sizeof...(Ts) <= 256, "forkflow: a variant of messages has at most 256 alternatives");
    static_assert((takes<Body, Ts> || ...), "forkflow: the body can be called with no alternative of Input");
    static_assert(
        (has_place<Ts>() && ...),
        "forkflow: Output must be able to hold what the body returns, and each alternative of Input that the "
        "body does not take (a marker, which passes through)");

    static constexpr bool has_markers = !(takes<Body, Ts> && ...);

    /// As in whole_call.
    static consteval void require_codecs() { (require_codecs_for<Ts>(), ...); }

    static bool is_marker(const input& message) noexcept {
        static constexpr bool marker[] = {!takes<Body, Ts>...};
        return !message.valueless_by_exception() && marker[message.index()];
    }

    static void encode_request(writer& to, const input& message) {
        std::visit(
            [&]<class T>(const T& alternative) {
                if constexpr (takes<Body, T>) {
                    to.write_value(static_cast<std::uint8_t>(message.index()));
                    encode(to, alternative);
                }
            },
            message);
    }

    static void run(Body& body, nodes::worker_call& call) {
        const auto index = call.request.template read_value<std::uint8_t>();
        with_alternative(index, [&]<class T>(std::type_identity<T>) { run_body_on<T>(body, call, index); });
    }

    static Output decode_result(reader& from) {
        std::optional<Output> outcome;
        with_alternative(from.template read_value<std::uint8_t>(), [&]<class T>(std::type_identity<T>) {
            outcome.emplace(decode_whole<result_for_t<Body, T>>(from));
        });
        return std::move(*outcome);
    }

    /// The outcome that a marker is: itself.
    static Output pass(input&& marker) {
        return std::visit(
            []<class T>(T&& alternative) -> Output {
                if constexpr (std::is_constructible_v<Output, T&&>) {
                    return Output(std::forward<T>(alternative));
                } else {
                    throw std::bad_variant_access(); // a request is no marker
                }
            },
            std::move(marker));
    }

private:
    template <class T>
    static consteval void require_codecs_for() {
        if constexpr (takes<Body, T>) {
            require_encodable<T>();
            require_encodable<result_for_t<Body, T>>();
        }
    }
    /// Calls `visit` with the type of the alternative at `index`, if the body takes it.
    template <class Visit>
    static void with_alternative(std::size_t index, Visit visit) {
        std::size_t at = 0;
        const auto try_one = [&]<class T>(std::type_identity<T> type) {
            if (at++ != index) {
                return false;
            }
            if constexpr (takes<Body, T>) {
                visit(type);
                return true;
            }
            return false;
        };
        if (!(try_one(std::type_identity<Ts>{}) || ...)) {
            throw not_decodable(
                "forkflow: an encoded message names an alternative that the body does not take");
        }
    }
};

/// How messages of type Input pass through Body.
template <class Input, class Output, class Body>
struct call_of {
    static_assert(takes<Body, Input> || is_variant<Input>,
                  "forkflow: the body cannot be called with an Input");
};
template <class Input, class Output, class Body>
requires takes<Body, Input>
struct call_of<Input, Output, Body> : whole_call<Input, Output, Body> {
};
template <class Input, class Output, class Body>
requires(!takes<Body, Input> && is_variant<Input>) struct call_of<Input, Output, Body>
    : alternative_call<Input, Output, Body> {
};

} // namespace forkflow::detail
