// SPDX-License-Identifier: MIT
// Nodes of int to int, and the numbers that pass through them.
#pragma once

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <vector>

namespace forkflow_test {

using int_node = forkflow::ordered_process_node<int, int>;
using rejecting_node = forkflow::ordered_process_node<int, int, tbb::flow::rejecting>;
using rejecting_sink = tbb::flow::function_node<int, int, tbb::flow::rejecting>;

/// A timeout that does not pass.
inline constexpr auto for_ever = std::chrono::hours(1000000000);

inline int same(int message) {
    return message;
}

inline std::vector<int> up_to(int end) {
    std::vector<int> numbers(static_cast<std::size_t>(end));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

inline forkflow::pool_options tiny() {
    return {.workers = 1, .window = 1, .requests = 1};
}

/// Makes 0, 1, ... below `end`, one at a time, and calls `before_each(number)`.
template <class BeforeEach>
tbb::flow::input_node<int> counting_source(tbb::flow::graph& graph, int end, BeforeEach before_each) {
    return tbb::flow::input_node<int>(graph, [=, next = 0](tbb::flow_control& control) mutable {
        if (next == end) {
            control.stop();
            return 0;
        }
        before_each(next);
        return next++;
    });
}

/// Takes one message at a time and refuses meanwhile.
inline rejecting_sink sink_into(std::vector<int>& got, tbb::flow::graph& graph) {
    return {graph, tbb::flow::serial, [&got](int message) {
                got.push_back(message);
                return message;
            }};
}

/// Makes edges from each node to the next.
template <class First, class Second, class... Others>
void make_chain(First& first, Second& second, Others&... others) {
    tbb::flow::make_edge(first, second);
    if constexpr (sizeof...(others) > 0) {
        make_chain(second, others...);
    }
}

inline std::vector<int> sorted(std::vector<int> values) {
    std::sort(values.begin(), values.end());
    return values;
}

} // namespace forkflow_test
