// SPDX-License-Identifier: MIT
// A graph that has one thread: what nobody else does there, nobody does.
#pragma once

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

namespace forkflow_test {

/// Calls `run(graph)`. The graph's arena has one thread: the one that waits for it.
template <class Run>
void with_one_thread(Run run) {
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    tbb::task_arena arena(1);
    arena.execute([&] {
        tbb::flow::graph graph;
        run(graph);
    });
}

} // namespace forkflow_test
