// SPDX-License-Identifier: MIT
#include <forkflow/nodes/wait_for_any.hpp>

#include <ctime>

namespace forkflow::nodes {

bool wait_for_any(std::span<pollfd> watched, std::int64_t patience_ns) {
    const timespec patience{.tv_sec = static_cast<time_t>(patience_ns / 1'000'000'000),
                            .tv_nsec = static_cast<long>(patience_ns % 1'000'000'000)};
    const timespec* const limit = patience_ns < 0 ? nullptr : &patience;
    if (uninterrupted([&] { return ::ppoll(watched.data(), watched.size(), limit, nullptr); }) != -1) {
        return true;
    }
    std::this_thread::sleep_for(memory_pause);
    bool looked = true;
    for (pollfd& one : watched) {
        if (uninterrupted([&] { return ::poll(&one, 1, 0); }) == -1) {
            one.revents = one.events;
            looked = false;
        }
    }
    return looked;
}

} // namespace forkflow::nodes
