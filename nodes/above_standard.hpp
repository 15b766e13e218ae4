// SPDX-License-Identifier: MIT
// Descriptors that keep off the numbers of standard input, output and error.
#pragma once

#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace forkflow::nodes {

/// `one`, with a number above those of standard input, output and error: where those are closed, the kernel
/// gives their numbers to anything, and somebody may yet write to them, or open what belongs there. Throws
/// std::system_error.
[[nodiscard]] inline descriptor above_standard(descriptor one) {
    return one.get() > STDERR_FILENO
               ? std::move(one)
               : descriptor(checked("fcntl", ::fcntl(one.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1)));
}

} // namespace forkflow::nodes
