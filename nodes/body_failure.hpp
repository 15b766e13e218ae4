// SPDX-License-Identifier: MIT
// What a worker says of an exception that left its body.
#pragma once

#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <cstdint>
#include <string>

namespace forkflow::nodes {

/// What the C++ runtime calls the exception that is being handled.
[[nodiscard]] std::string current_exception_type();

/// The failure that the exception being handled is, without its text. `engine_frames`: how many of the
/// outermost frames of its stack are the engine's.
[[nodiscard]] failure failure_at(body_stage stage, std::uint32_t engine_frames);

} // namespace forkflow::nodes
