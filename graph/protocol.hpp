// SPDX-License-Identifier: MIT
// The part of oneTBB's flow graph protocol that nodes outside of oneTBB need, under names that do not change
// with versions.
#pragma once

#include <oneapi/tbb/flow_graph.h>

namespace forkflow::graph {

// What senders and receivers say to each other moved from detail::d1 to detail::d2 with oneTBB 2022.0.
#if TBB_INTERFACE_VERSION >= 12140
namespace tbb_detail = tbb::detail::d2;
#else
namespace tbb_detail = tbb::detail::d1;
#endif

using tbb_detail::graph_task;

/// What receiver::try_put_task returns if the message was taken and there is no task to run.
inline graph_task* const taken_without_task = tbb_detail::SUCCESSFULLY_ENQUEUED;

/// Turns an edge round: from now on `to` asks `from`. False: `to` never asks.
template <class T>
bool let_pull(tbb::flow::receiver<T>& to, tbb::flow::sender<T>& from) {
    return tbb_detail::register_predecessor(to, from);
}
/// Turns an edge back: from now on `from` pushes to `to`.
template <class T>
bool let_push(tbb::flow::sender<T>& from, tbb::flow::receiver<T>& to) {
    return tbb_detail::register_successor(from, to);
}
/// Lets `to` forget that it may ask `from`.
template <class T>
bool forget(tbb::flow::receiver<T>& to, tbb::flow::sender<T>& from) {
    return tbb_detail::remove_predecessor(to, from);
}

} // namespace forkflow::graph
