// SPDX-License-Identifier: MIT
// Nodes and queues that many tests use, whose code is made once for all of them (common_nodes.cpp) instead of
// once for each. No test counts on it: without it compilers make them where they are used.
#pragma once

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <cstdint>
#include <variant>

// Nothing where the code is to be.
#ifndef FORKFLOW_TEST_COMMON
#define FORKFLOW_TEST_COMMON extern
#endif

namespace forkflow_test {

using common_number = std::uint32_t;
using common_outcome = std::variant<common_number, forkflow::failure>;

template <class Input, class Output>
using common_stream = forkflow::detail::message_stream<Input, Output>;

} // namespace forkflow_test

// clang-format off
#define FORKFLOW_TEST_COMMON_NODE(INPUT, OUTPUT, QUEUEING, POLICY) \
    FORKFLOW_TEST_COMMON template class forkflow::graph::arrivals< \
        INPUT, QUEUEING, forkflow_test::common_stream<INPUT, OUTPUT>>; \
    FORKFLOW_TEST_COMMON template class forkflow::graph::ordered_node< \
        INPUT, OUTPUT, QUEUEING, forkflow_test::common_stream<INPUT, OUTPUT>>; \
    FORKFLOW_TEST_COMMON template class forkflow::ordered_process_node<INPUT, OUTPUT, POLICY>;
#define FORKFLOW_TEST_COMMON_NODES(INPUT, OUTPUT) \
    FORKFLOW_TEST_COMMON template class forkflow::detail::message_stream<INPUT, OUTPUT>; \
    FORKFLOW_TEST_COMMON_NODE(INPUT, OUTPUT, true, tbb::flow::queueing) \
    FORKFLOW_TEST_COMMON_NODE(INPUT, OUTPUT, false, tbb::flow::rejecting) \
    FORKFLOW_TEST_COMMON template class forkflow::graph::successors<OUTPUT>;
// clang-format on

FORKFLOW_TEST_COMMON_NODES(int, int)
FORKFLOW_TEST_COMMON_NODES(forkflow_test::common_number, forkflow_test::common_number)
FORKFLOW_TEST_COMMON_NODES(forkflow_test::common_number, forkflow_test::common_outcome)
FORKFLOW_TEST_COMMON template class forkflow::graph::predecessors<int>;
FORKFLOW_TEST_COMMON template class forkflow::graph::predecessors<forkflow_test::common_number>;
FORKFLOW_TEST_COMMON template class forkflow::detail::blocking_queue<forkflow_test::common_number,
                                                                     forkflow_test::common_number>;
FORKFLOW_TEST_COMMON template class forkflow::detail::blocking_queue<forkflow_test::common_number,
                                                                     forkflow_test::common_outcome>;
