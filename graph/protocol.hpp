// SPDX-License-Identifier: MIT
// The part of oneTBB's flow graph protocol that nodes outside of oneTBB need, under names that do not change
// with versions.
#pragma once

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/version.h> // which flow_graph.h of some versions does not include

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
/// Lets `to` forget that it may ask `from`, or that it is to count it.
template <class T>
bool forget(tbb::flow::receiver<T>& to, tbb::flow::sender<T>& from) {
    return tbb_detail::remove_predecessor(to, from);
}

/// What oneTBB's senders ask their receivers. A receiver shows it to senders that are oneTBB's own and to
/// receivers; so this is one, and hands on pointers to the members.
template <class T>
class asked_of_receivers : public tbb::flow::receiver<T> {
    using receiver = tbb::flow::receiver<T>;

public:
    /// It wants to be counted as a predecessor before the first message.
    static bool counts_predecessors(receiver& to) {
        return (to.*(&asked_of_receivers::is_continue_receiver))();
    }
    /// It goes before others.
    static bool has_priority(const receiver& to) {
        return (to.*(&asked_of_receivers::priority))() != tbb::flow::no_priority;
    }
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    /// As receiver::try_put, with those who wait for what becomes of the message.
    static bool try_put(receiver& to, const T& message, const tbb_detail::message_metainfo& waiters) {
        using with_waiters = graph_task* (receiver::*)(const T&, const tbb_detail::message_metainfo&);
        constexpr auto try_put_task = static_cast<with_waiters>(&asked_of_receivers::try_put_task);
        graph_task* const task = (to.*try_put_task)(message, waiters);
        if (task != nullptr && task != taken_without_task) {
            tbb_detail::spawn_in_graph_arena((to.*(&asked_of_receivers::graph_reference))(), *task);
        }
        return task != nullptr;
    }
#endif
};

namespace detail {

/// Names a member that is private, by the rule that an explicit instantiation may. Each source has that
/// instantiation, always the same, and linkers merge it as they do inline functions.
template <class Tag, typename Tag::type Member>
struct private_member {
    friend typename Tag::type member_of(Tag) { return Member; }
};
struct context_of_graph {
    using type = tbb::task_group_context* tbb::flow::graph::*;
    friend type member_of(context_of_graph);
};
template struct private_member<context_of_graph, &tbb::flow::graph::my_context>;

} // namespace detail

/// Whether the graph has been cancelled, or an exception has ended it, and nobody has waited for that yet:
/// graph::is_cancelled() says so only afterwards. What oneTBB says of the calling thread would not do, as
/// that may be in a task of somebody else. oneTBB has no function that gives a graph's context.
inline bool is_being_cancelled(tbb::flow::graph& g) {
    return (g.*member_of(detail::context_of_graph()))->is_group_execution_cancelled();
}

} // namespace forkflow::graph
