// SPDX-License-Identifier: MIT
// When a worker has served long enough: after so many messages, so much time, or so much growth.
#pragma once

#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/pool_options.hpp>

#include <cstdint>
#include <optional>

namespace forkflow::nodes {

/// Counts for one worker, in the worker. Costs nothing per message but for what the options ask: a count, a
/// coarse clock (some nanoseconds), or, at most every ten milliseconds, one read of /proc/self/statm.
class retirement {
public:
    /// From now on. Throws std::system_error if memory is to be watched and cannot be.
    explicit retirement(const pool_options& options);

    /// To be called after each message: true once one of the limits is reached.
    [[nodiscard]] bool due();

private:
    [[nodiscard]] std::optional<std::size_t> private_bytes() const;
    [[nodiscard]] bool has_grown(std::int64_t now_ns);

    const pool_options& options_;
    std::uint64_t handled_ = 0;
    std::int64_t began_ns_;
    std::int64_t looked_ns_;
    descriptor statm_;
    std::size_t baseline_bytes_ = 0;
};

} // namespace forkflow::nodes
