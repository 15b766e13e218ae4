// SPDX-License-Identifier: MIT
// A function with its arguments, with their types forgotten, and how it travels.
#pragma once

#include <forkflow/codec.hpp>
#include <forkflow/nodes/code_location.hpp>
#include <forkflow/nodes/own_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkflow::detail {

/// Function and arguments of a call that gives a Result.
template <class Result>
class call_state {
public:
    /// Reads what `encode` wrote after the decoder's own place.
    using decoder = std::shared_ptr<call_state> (*)(reader&);

    virtual ~call_state() = default;
    virtual void encode(writer& to) const = 0;
    /// Once.
    virtual Result run() = 0;
};

template <class T>
inline constexpr bool is_function_pointer =
    std::is_pointer_v<T>&& std::is_function_v<std::remove_pointer_t<T>>;

/// Whether a Function travels as its bytes because nobody said otherwise, and has room for an address.
template <class Function>
inline constexpr bool may_hide_addresses =
    std::is_base_of_v<standard_codec<Function>, codec<Function>>&& copied_as_bytes<Function> &&
    !std::is_empty_v<Function> && alignof(Function) >= alignof(void*);

/// Whether it does, as far as can be seen: what stands in padding may be an address by chance.
template <class Function>
bool hides_address(const Function& function) {
#if __has_builtin(__builtin_clear_padding)
    alignas(Function) std::byte copy[sizeof(Function)];
    std::memcpy(copy, std::addressof(function), sizeof(Function));
    __builtin_clear_padding(reinterpret_cast<Function*>(copy));
    return nodes::leads_to_own_memory(copy);
#else
    return std::has_unique_object_representations_v<Function> && // has no padding
           nodes::leads_to_own_memory(std::as_bytes(std::span(std::addressof(function), 1)));
#endif
}

/// A function on the wire: the place of its code, or its state.
template <class Function>
void encode_function(writer& to, const Function& function) {
    if constexpr (is_function_pointer<Function>) {
        to.write_value(nodes::locate(reinterpret_cast<std::uintptr_t>(function)));
    } else {
        if constexpr (may_hide_addresses<Function>) {
            if (hides_address(function)) {
                throw std::invalid_argument(
                    "forkflow: a function object holds the address of something that it does not own, which "
                    "another process cannot see as it is now (has a lambda captured by reference?): pass it "
                    "as an argument");
            }
        }
        forkflow::encode(to, function);
    }
}
template <class Function>
Function decode_function(reader& from) {
    if constexpr (is_function_pointer<Function>) {
        return reinterpret_cast<Function>(nodes::address_of(from.read_value<nodes::code_location>()));
    } else {
        return forkflow::decode<Function>(from);
    }
}

template <class Result, class R, class Function, class... Arguments>
class call_state_of final : public call_state<Result> {
public:
    template <class... Given>
    explicit call_state_of(Function function, Given&&... arguments)
        : function_(std::move(function))
        , arguments_(std::forward<Given>(arguments)...) {}

    void encode(writer& to) const override {
        // The place does not change as long as this very code is loaded.
        static const nodes::code_location place = nodes::locate(
            reinterpret_cast<std::uintptr_t>(static_cast<typename call_state<Result>::decoder>(decode)));
        to.write_value(place);
        encode_function(to, function_);
        std::apply([&](const Arguments&... each) { (forkflow::encode(to, each), ...); }, arguments_);
    }

    Result run() override {
        const auto invoke = [this](Arguments&... each) -> decltype(auto) {
            return std::invoke(std::move(function_), std::move(each)...);
        };
        if constexpr (std::is_void_v<R>) {
            std::apply(invoke, arguments_);
            return {};
        } else {
            return std::apply(invoke, arguments_);
        }
    }

private:
    static std::shared_ptr<call_state<Result>> decode(reader& from) {
        auto function = decode_function<Function>(from);
        // Braces, as they fix the order.
        std::tuple<Arguments...> arguments{forkflow::decode<Arguments>(from)...};
        return std::apply(
            [&](Arguments&... each) {
                return std::make_shared<call_state_of>(std::move(function), std::move(each)...);
            },
            arguments);
    }

    Function function_;
    std::tuple<Arguments...> arguments_;
};

template <class Function>
consteval bool function_can_be_sent() {
    if constexpr (is_function_pointer<Function>) {
        return true;
    } else {
        return encodable<Function>;
    }
}

/// Stops the compiler with one sentence if these cannot be a call. False if so.
template <class R, class Function, class... Arguments>
consteval bool require_callable() {
    if constexpr (std::is_member_pointer_v<Function>) {
        static_assert(never<R>, "forkflow: a call takes no pointer to a member: call it in a lambda without "
                                "captures, which takes the object as an argument");
        return false;
    } else if constexpr (!function_can_be_sent<Function>()) {
        static_assert(never<R>,
                      "forkflow: this function object cannot be sent to another process: use a pointer to a "
                      "function or a lambda without captures, and pass what it needs as arguments; or "
                      "specialise forkflow::codec for it");
        return false;
    } else if constexpr (!(encodable<Arguments> && ...)) {
        (require_encodable<Arguments>(), ...);
        return false;
    } else if constexpr (!std::is_invocable_v<Function, Arguments...>) {
        static_assert(never<R>,
                      "forkflow: the function cannot be called with these arguments, which it is given as "
                      "rvalues: it must take values, const references or rvalue references");
        return false;
    } else if constexpr (!std::is_invocable_r_v<R, Function, Arguments...>) {
        static_assert(never<R>, "forkflow: what the function returns does not convert to the call's R");
        return false;
    } else {
        return true;
    }
}

template <class Result, class R, class Function, class... Arguments>
std::shared_ptr<call_state<Result>> make_call_state(Function&& function, Arguments&&... arguments) {
    using function_type = std::decay_t<Function>;
    if constexpr (require_callable<R, function_type, std::decay_t<Arguments>...>()) {
        if constexpr (is_function_pointer<function_type>) {
            const function_type given = function; // the name of a function is never null, and compilers know
            if (given == nullptr) {
                throw std::invalid_argument("forkflow: a call of a null pointer");
            }
        }
        return std::make_shared<call_state_of<Result, R, function_type, std::decay_t<Arguments>...>>(
            std::forward<Function>(function), std::forward<Arguments>(arguments)...);
    } else {
        return nullptr;
    }
}

} // namespace forkflow::detail
