// SPDX-License-Identifier: MIT
// How full the stack is that a thread runs on, and further ones for those who call deeper than it holds.
#pragma once

#include <cstddef>
#include <functional>

namespace forkflow::nodes {

/// True while at least half of the stack that the calling thread runs on is unused: its own, or a
/// further_stack. False on any other, as a fiber's is, and if the bounds are not to be had. Costs some
/// nanoseconds; the thread's first call asks the system, which opens /proc/self/maps for the main thread.
[[nodiscard]] bool stack_is_half_empty() noexcept;

/// A stack for calls that go deeper than the thread's own holds, as segmented stacks are, or those of Rust's
/// stacker. Only what is used of it takes memory.
class further_stack {
public:
    static constexpr std::size_t size_bytes = std::size_t{16} << 20U;

    /// Throws std::system_error if there is no address space for it. Costs some microseconds.
    further_stack();
    ~further_stack();
    further_stack(const further_stack&) = delete;
    further_stack& operator=(const further_stack&) = delete;

    /// Calls `function` in the calling thread, on this stack; what it throws is thrown here. The thread then
    /// has the signal mask and the floating-point environment that it had before. One call at a time. Costs
    /// three system calls.
    void call(const std::function<void()>& function) const;

private:
    void unmap() noexcept;
    [[nodiscard]] void* lowest() const noexcept;

    std::size_t guard_bytes_;
    void* memory_ = nullptr;
};

} // namespace forkflow::nodes
