// SPDX-License-Identifier: MIT
// The same test over oneTBB's own functional node and over ordered_process_node: what one may replace in a
// graph by the other.
#pragma once

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace forkflow_test {

/// Makes tbb::flow::function_node.
struct in_threads {
    template <class Input, class Output, class Policy = tbb::flow::queueing>
    using node = tbb::flow::function_node<Input, Output, Policy>;

    /// What limits a node to so many bodies at a time.
    static std::size_t bodies(std::size_t count) { return count; }
    /// What makes a node refuse while one message is inside and not through the body.
    static std::size_t one_message() { return 1; }
    /// What makes a node refuse most of the time while it is fed.
    static std::size_t few_messages() { return 1; }
    /// Outcomes as they may be compared: a serial node, too, lets the next message begin before it hands on
    /// the last outcome, so another thread may overtake.
    static std::vector<int> comparable(std::vector<int> outcomes) {
        std::sort(outcomes.begin(), outcomes.end());
        return outcomes;
    }
};

/// Makes forkflow::ordered_process_node.
struct in_processes {
    template <class Input, class Output, class Policy = tbb::flow::queueing>
    using node = forkflow::ordered_process_node<Input, Output, Policy>;

    static std::size_t bodies(std::size_t count) { return count; }
    static forkflow::pool_options one_message() { return {.workers = 1, .window = 1, .requests = 1}; }
    static forkflow::pool_options few_messages() { return {.workers = 2, .window = 2, .requests = 2}; }
    static std::vector<int> comparable(std::vector<int> outcomes) { return outcomes; } // their order counts
};

} // namespace forkflow_test
