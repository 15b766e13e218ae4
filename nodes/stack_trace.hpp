// SPDX-License-Identifier: MIT
// Stack traces: taken as bare addresses (in a worker, cheaply), made readable later (in the parent, once
// somebody asks).
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace forkflow {

/// Return addresses of a call stack, innermost first. Workers are forked, so their addresses mean the same
/// here.
struct stack_trace {
    std::vector<std::uintptr_t> frames;

    [[nodiscard]] bool empty() const noexcept { return frames.empty(); }

    /// One line a frame: number, function, file and line as far as the program's symbols and debug
    /// information tell. Thread-safe. The first call reads debug information (tens of milliseconds for a
    /// large program); later ones take microseconds a frame. Only in the process that made the node:
    /// addresses mean nothing elsewhere.
    [[nodiscard]] std::string to_string() const;
};

std::ostream& operator<<(std::ostream& out, const stack_trace& trace);

namespace nodes {
/// Cuts off the outermost `engine_frames`, which are forkflow's own and the same in every trace, unless the
/// trace was cut off before it came to them.
void cut_engine_frames(stack_trace& trace, std::size_t engine_frames);
} // namespace nodes

} // namespace forkflow
