// SPDX-License-Identifier: MIT
// A random graph of ordered nodes with sources and sinks of all kinds, and the model that it is checked
// against.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace forkflow_test {

/// All of its shape follows from the seed; only the interleaving of threads and processes does not.
class random_graph {
public:
    explicit random_graph(std::uint64_t seed);
    ~random_graph();
    random_graph(const random_graph&) = delete;
    random_graph& operator=(const random_graph&) = delete;

    /// Sends a random number of messages through, perhaps after a round that is cancelled (by which bodies
    /// that hang may be killed) and reset. Returns what was wrong, or nothing.
    std::string run();

private:
    class parts;
    std::unique_ptr<parts> parts_;
};

} // namespace forkflow_test
