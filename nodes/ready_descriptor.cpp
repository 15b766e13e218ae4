// SPDX-License-Identifier: MIT
#include <forkflow/nodes/ready_descriptor.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <sys/eventfd.h>

namespace forkflow::nodes {

ready_descriptor::ready_descriptor()
    : event_(checked("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void ready_descriptor::set(bool ready) noexcept {
    if (ready == ready_) {
        return;
    }
    ready_ = ready;
    if (ready) {
        ::eventfd_write(event_.get(), 1);
    } else {
        eventfd_t count = 0;
        ::eventfd_read(event_.get(), &count);
    }
}

} // namespace forkflow::nodes
