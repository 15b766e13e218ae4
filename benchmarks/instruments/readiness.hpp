// SPDX-License-Identifier: MIT
// Waits until all workers of a pool are ready, so that only messages are measured.
#pragma once

#include "instruments/shared_value.hpp"

#include <forkflow/nodes/futex.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace forkflow_benchmark {

/// Must outlive the pool.
class readiness {
public:
    /// For pool_options::worker_init.
    [[nodiscard]] std::function<void()> worker_init() const {
        return [this] {
            ready_->fetch_add(1);
            forkflow::nodes::futex_wake(counter(), 1);
        };
    }
    void wait_for(std::size_t workers) const {
        for (std::uint32_t seen = ready_->load(); seen < workers; seen = ready_->load()) {
            forkflow::nodes::futex_wait(counter(), seen);
        }
    }

private:
    [[nodiscard]] const std::atomic<std::uint32_t>& counter() const noexcept { return *ready_.operator->(); }

    shared_value<std::atomic<std::uint32_t>> ready_;
};

} // namespace forkflow_benchmark
