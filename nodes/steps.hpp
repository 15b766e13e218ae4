// SPDX-License-Identifier: MIT
// The named steps of a worker's life: where tests look, hold and kill.
#pragma once

#include <cstdint>
#include <functional>

namespace forkflow::nodes {

/// Steps of the protocol, in the order in which a worker passes them.
enum class step : std::uint8_t {
    started,            ///< the worker exists; nothing has been done
    initialised,        ///< worker_init is through
    claimed,            ///< a request is taken and the claim names this worker
    awaiting_admission, ///< the result is not admitted; the worker is about to sleep
    admitted,           ///< the result may be written
    written,            ///< the result's bytes are in its slot; not published
    published,          ///< the result counts; nobody has been woken
    notified,           ///< whoever waits for the result has been woken
    parking,            ///< no work; the worker has said that it will sleep
    woken,              ///< the worker was rung
};
inline constexpr step last_step = step::woken;

/// What a hook throws to end a worker that is a thread: it leaves at once, as a killed process would.
struct worker_killed {};

/// Called at each step with the seat. It may kill the process, or throw worker_killed. An empty hook
/// costs one predicted branch.
using step_hook = std::function<void(step, std::uint32_t seat)>;

} // namespace forkflow::nodes
