// SPDX-License-Identifier: MIT
// Pages of a file that a process takes by writing to them, without a system call and without dying if there
// is no memory for them.
#pragma once

#include <csignal>
#include <cstddef>

namespace forkflow::nodes {

/// Writes to each page of [from, to), whose contents do not matter. False: the kernel had no memory for one
/// of them, which it says by SIGBUS; so it is if a handler of that signal calls escape_from_touch. Costs a
/// write per page that is there, and a page fault for each that is not. Any thread may call it.
[[nodiscard]] bool touch_pages(std::byte* from, const std::byte* to) noexcept;

/// For the handler of SIGBUS: if the calling thread is touching pages and the fault is at one of them, lets
/// touch_pages return false, and does not return. Async-signal-safe.
void escape_from_touch(const void* fault) noexcept;

/// `action` is the handler that calls escape_from_touch: it is set again after an escape, as a handler that
/// was reset when it was entered must be.
void touch_under(const struct sigaction& action) noexcept;

} // namespace forkflow::nodes
