// SPDX-License-Identifier: MIT
// The named steps of workers and fork servers: where tests look, hold and kill.
#pragma once

#include <cstdint>
#include <functional>

namespace forkflow::nodes {

/// Steps of the protocol: a worker's, in the order in which it passes them, the fork server's, and those of a
/// forkflow::fork_server.
enum class step : std::uint8_t {
    started,            ///< the worker exists; nothing has been done
    initialised,        ///< worker_init is through
    claimed,            ///< a request is taken and the claim names this worker
    awaiting_admission, ///< the result is not admitted; the worker is about to sleep
    admitted,           ///< the result may be written
    room_made,          ///< pages of the result's extent are there, and held; more of it can be written
    written,            ///< the result's bytes are in its slot; not published
    published,          ///< the result counts; nobody has been woken
    notified,           ///< whoever waits for the result has been woken
    parking,            ///< no work; the worker has said that it will sleep
    woken,              ///< the worker was rung
    condemned,          ///< its deadline passed before it could publish; it waits to be killed
    retiring,           ///< the worker is about to ask for its relief
    relieved,           ///< the worker has told the one that it relieves to go
    leaving,            ///< the worker was told to go, and has claimed nothing
    server_started,     ///< the fork server exists; no worker does
    server_asked,       ///< it has taken a request to start or to kill a worker
    server_forked,      ///< the worker exists; the fork server has not noted it
    server_reaped,      ///< a dead worker is reaped; the parent does not know
    server_told,        ///< the parent was told, of a death or a refusal
    launcher_asked,     ///< the forkflow::fork_server has taken an order
    launcher_forked,    ///< the fork server of the pool exists; the application does not know
    launcher_answered,  ///< the application was told
};
inline constexpr step last_worker_step = step::leaving;
inline constexpr step last_server_step = step::server_told;
inline constexpr step last_step = step::launcher_answered;

/// What a hook throws to end a worker that is a thread: it leaves at once, as a killed process would.
struct worker_killed {};

/// Called at each step with the seat (0 at server_started and in a launcher). It may kill the process, or
/// throw worker_killed. An empty hook costs one predicted branch.
using step_hook = std::function<void(step, std::uint32_t seat)>;

} // namespace forkflow::nodes
