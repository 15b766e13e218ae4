// SPDX-License-Identifier: MIT
// Nodes of int to int, and the numbers that pass through them.
#pragma once

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace forkflow_test {

using int_node = forkflow::ordered_process_node<int, int>;
using rejecting_node = forkflow::ordered_process_node<int, int, tbb::flow::rejecting>;
using rejecting_sink = tbb::flow::function_node<int, int, tbb::flow::rejecting>;

inline int same(int message) {
    return message;
}

inline std::vector<int> up_to(int end) {
    std::vector<int> numbers(static_cast<std::size_t>(end));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

inline std::vector<int> sorted(std::vector<int> values) {
    std::sort(values.begin(), values.end());
    return values;
}

} // namespace forkflow_test
