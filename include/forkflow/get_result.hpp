// SPDX-License-Identifier: MIT
// What forkflow::ordered_process_queue::get returns: an outcome, or why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace forkflow {

/// How a call of get ended.
enum class get_status : std::uint8_t {
    outcome,   ///< the next outcome is there
    timed_out, ///< it did not come in time; a later call may get it
    ended,     ///< the end of the stream: the queue was stopped and is empty, so nothing will ever come
};

/// An outcome, or the reason why there is none. Used like a std::expected or std::optional: true, and to be
/// dereferenced, if it holds an outcome.
///
///     while (auto outcome = queue.get()) { use(*outcome); }
template <class Output>
class get_result {
public:
    using value_type = Output;

    get_result(Output value) // NOLINT(google-explicit-constructor): a function's result
        : outcome_(std::move(value))
        , status_(get_status::outcome) {}
    /// Without an outcome; `why` is timed_out or ended.
    get_result(get_status why) noexcept // NOLINT(google-explicit-constructor)
        : status_(why) {}

    [[nodiscard]] get_status status() const noexcept { return status_; }
    [[nodiscard]] bool has_value() const noexcept { return outcome_.has_value(); }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] bool timed_out() const noexcept { return status_ == get_status::timed_out; }
    [[nodiscard]] bool ended() const noexcept { return status_ == get_status::ended; }

    /// The outcome. Only if there is one.
    [[nodiscard]] Output& operator*() & noexcept { return *outcome_; }
    [[nodiscard]] const Output& operator*() const& noexcept { return *outcome_; }
    [[nodiscard]] Output&& operator*() && noexcept { return *std::move(outcome_); }
    [[nodiscard]] Output* operator->() noexcept { return &*outcome_; }
    [[nodiscard]] const Output* operator->() const noexcept { return &*outcome_; }

    /// The outcome. Throws std::bad_optional_access if there is none.
    [[nodiscard]] Output& value() & { return outcome_.value(); }
    [[nodiscard]] const Output& value() const& { return outcome_.value(); }
    [[nodiscard]] Output&& value() && { return std::move(outcome_).value(); }

private:
    std::optional<Output> outcome_;
    get_status status_;
};

} // namespace forkflow
