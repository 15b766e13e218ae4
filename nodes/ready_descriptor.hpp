// SPDX-License-Identifier: MIT
// A descriptor that is readable as long as something is ready: for programs that wait with poll or epoll.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

namespace forkflow::nodes {

/// Not readable at first. One thread at a time, but for those who wait on `get`.
class ready_descriptor {
public:
    /// Throws std::system_error.
    ready_descriptor();

    [[nodiscard]] int get() const noexcept { return event_.get(); }
    /// Makes it readable, or not. Costs a system call only if that is a change.
    void set(bool ready) noexcept;

private:
    descriptor event_; ///< an eventfd: nobody else reads or writes it
    bool ready_ = false;
};

} // namespace forkflow::nodes
