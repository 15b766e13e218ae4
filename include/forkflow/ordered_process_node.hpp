// SPDX-License-Identifier: MIT
// forkflow::ordered_process_node: a node for oneTBB flow graphs whose body runs in other processes, and whose
// results leave in the order in which the messages arrived.
//
//     tbb::flow::graph g;
//     forkflow::ordered_process_node<std::string, std::size_t> measure(
//         g, tbb::flow::unlimited, [](const std::string& text) { return text.size(); });
//     tbb::flow::make_edge(reader, measure);
//     tbb::flow::make_edge(measure, writer);
#pragma once

#include <forkflow/buffer.hpp>
#include <forkflow/codec.hpp>
#include <forkflow/detail/body_traits.hpp>
#include <forkflow/detail/deadline.hpp>
#include <forkflow/detail/message_stream.hpp>
#include <forkflow/detail/process_body.hpp>
#include <forkflow/failure.hpp>
#include <forkflow/graph/ordered_node.hpp>
#include <forkflow/pool_options.hpp>
#include <forkflow/statistics.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace forkflow {
namespace detail {

/// The initial body of a node, with its type forgotten: enough to make the stream anew, and to give the body
/// back.
template <class Input, class Output>
class initial_body {
public:
    using stream = message_stream<Input, Output>;

    virtual ~initial_body() = default;
    [[nodiscard]] virtual stream make_stream(const pool_options& options,
                                             std::function<void()> on_progress) const = 0;
};

template <class Input, class Output, class Body>
class initial_body_of final : public initial_body<Input, Output> {
public:
    explicit initial_body_of(Body initial)
        : body_(std::move(initial)) {}
    [[nodiscard]] message_stream<Input, Output>
    make_stream(const pool_options& options, std::function<void()> on_progress) const override {
        return message_stream<Input, Output>(options, body_, std::move(on_progress));
    }
    [[nodiscard]] const Body& body() const noexcept { return body_; }

private:
    Body body_;
};

/// What the second argument of function_node's constructor means here.
[[nodiscard]] inline pool_options with_workers(std::size_t workers) {
    pool_options options;
    options.workers = workers == tbb::flow::unlimited ? 0 : workers;
    return options;
}

// Bodies run in workers in any case, so that `lightweight` makes no difference.
template <class Policy>
inline constexpr bool queueing_policy =
    std::is_same_v<Policy, tbb::flow::queueing> || std::is_same_v<Policy, tbb::flow::queueing_lightweight> ||
    std::is_same_v<Policy, tbb::flow::lightweight>;
template <class Policy>
inline constexpr bool rejecting_policy =
    std::is_same_v<Policy, tbb::flow::rejecting> || std::is_same_v<Policy, tbb::flow::rejecting_lightweight>;

} // namespace detail

/// A node for oneTBB flow graphs, used like tbb::flow::function_node: its body maps an Input to an Output.
/// The body runs in worker processes, forked when the node is made; outcomes are broadcast to the successors
/// in arrival order.
///
/// **Messages.** Input and what the body returns must have a codec (forkflow/codec.hpp). If Input is a
/// std::variant, an alternative that the body cannot be called with is a *marker*: it stays in this process
/// and passes through, unchanged and in its place; Output must be able to hold it.
///
/// **Failures.** A message whose body throws, whose worker dies, or which cannot be encoded, decoded or held,
/// has a failure for an outcome. If forkflow::failure is among Output's alternatives, it is emitted in its
/// place; if not, it cancels the graph and wait_for_all throws process_error.
///
/// **Bounds.** At most options.requests messages wait for a worker or run, and at most options.window results
/// wait for their turn; options.window_bytes bounds the bytes of both. Beyond that, Policy decides:
/// `queueing` (the default) keeps messages in the node, without a bound; `rejecting` refuses them, so that
/// predecessors wait (an input_node stops producing), and asks them once there is room. A successor that
/// refuses an outcome gets it later, and holds up the node: nothing is lost, unless Output cannot be copied,
/// and so cannot be kept for it. The policies' lightweight forms mean the same, as the body never runs in
/// this process.
///
/// **Thread safety.** try_put, put, make_buffer, try_make_buffer and statistics may be called from any
/// thread. try_put, as every receiver's, never waits: false means that the node rejects, or that its pool
/// could not be made anew by a reset. The node may be destroyed with messages inside; they are dropped, after
/// options.linger at the most. No other call may be under way then, and the graph must be idle when it is
/// reset.
///
/// **Cancel and reset.** When the graph is cancelled, what waits is dropped; what is with workers is finished
/// and then dropped, and wait_for_all waits for it. As with all of oneTBB's nodes, reset the graph before it
/// is used again. With rf_reset_bodies the workers are replaced by new ones, with the initial body, and the
/// statistics begin anew; with rf_clear_edges the edges are removed.
///
/// **Forking.** The constructor forks once. What other threads of the program have locked at that moment
/// stays locked in the workers (but glibc's malloc and stdio), so build nodes early; oneTBB starts its own
/// threads with the first task. Bodies must not use oneTBB.
///
/// **Cost.** One copy of the encoded message each way. Two background threads and one process beside the
/// workers; all of them sleep while the node is idle.
template <class Input, class Output = tbb::flow::continue_msg, class Policy = tbb::flow::queueing>
class ordered_process_node : public graph::ordered_node<Input, Output, detail::queueing_policy<Policy>,
                                                        detail::message_stream<Input, Output>> {
    static_assert(
        detail::queueing_policy<Policy> || detail::rejecting_policy<Policy>,
        "forkflow: the policy of an ordered_process_node is tbb::flow::queueing or tbb::flow::rejecting");
    using base = graph::ordered_node<Input, Output, detail::queueing_policy<Policy>,
                                     detail::message_stream<Input, Output>>;
    using initial_body = detail::initial_body<Input, Output>;

public:
    /// A node with `workers` worker processes (tbb::flow::unlimited: one per CPU that this process may use),
    /// and the default for all else. Throws std::invalid_argument and std::system_error.
    template <class Body>
    requires detail::process_body<Body, Input, Output>
    ordered_process_node(tbb::flow::graph& g, std::size_t workers, Body body, Policy /*policy*/ = Policy(),
                         tbb::flow::node_priority_t priority = tbb::flow::no_priority)
        : ordered_process_node(g, detail::with_workers(workers), std::move(body), priority) {}
    template <class Body>
    requires detail::process_body<Body, Input, Output>
    ordered_process_node(tbb::flow::graph& g, std::size_t workers, Body body,
                         tbb::flow::node_priority_t priority)
        : ordered_process_node(g, detail::with_workers(workers), std::move(body), priority) {}

    /// A node whose pool is made as `options` say. Throws std::invalid_argument and std::system_error.
    template <class Body>
    requires detail::process_body<Body, Input, Output>
    ordered_process_node(tbb::flow::graph& g, pool_options options, Body body, Policy /*policy*/ = Policy(),
                         tbb::flow::node_priority_t priority = tbb::flow::no_priority)
        : ordered_process_node(g, std::move(options), std::move(body), priority) {}
    template <class Body>
    requires detail::process_body<Body, Input, Output>
    ordered_process_node(tbb::flow::graph& g, pool_options options, Body body,
                         tbb::flow::node_priority_t priority)
        : ordered_process_node(g, std::move(options), shared(std::move(body)), priority, shared_tag{}) {
        detail::call_of<Input, Output, Body>::require_codecs(); // here, where the compiler tells who asked
    }

    // What cannot be a body is refused by one of these: compilers show the line, and nothing else.
    // clang-format off
    template <class Graph, class Pool, class Body, class... More> requires(!std::copy_constructible<Body>)
    ordered_process_node(Graph&&, Pool, Body, More...) = delete; // forkflow: a body must be copyable, as each worker has its own
    template <class Graph, class Pool, class Body, class... More> requires(detail::copyable_but_refuses_input<Body, Input>)
    ordered_process_node(Graph&&, Pool, Body, More...) = delete; // forkflow: the body cannot be called with a const Input&, nor with an alternative of it
    template <class Graph, class Pool, class Body, class... More> requires(detail::takes_input_but_gives_no_output<Body, Input, Output>)
    ordered_process_node(Graph&&, Pool, Body, More...) = delete; // forkflow: no Output can be made from what the body returns, or from an alternative of Input that it does not take
    // clang-format on

#if __TBB_PREVIEW_FLOW_GRAPH_NODE_SET
    /// A node in the graph of `neighbours`, with edges from or to them: tbb::flow::follows, precedes. What
    /// comes after the body is as above.
    template <class Order, class... Nodes, class Body, class... More>
    requires std::is_constructible_v<ordered_process_node, tbb::flow::graph&, std::size_t, Body, More...>
    ordered_process_node(const graph::tbb_detail::node_set<Order, Nodes...>& neighbours, std::size_t workers,
                         Body body, More... more)
        : ordered_process_node(neighbours, detail::with_workers(workers), std::move(body), more...) {}
    template <class Order, class... Nodes, class Body, class... More>
    requires std::is_constructible_v<ordered_process_node, tbb::flow::graph&, pool_options, Body, More...>
    ordered_process_node(const graph::tbb_detail::node_set<Order, Nodes...>& neighbours, pool_options options,
                         Body body, More... more)
        : ordered_process_node(neighbours.graph_reference(), std::move(options), std::move(body), more...) {
        make_edges_in_order(neighbours, *this);
    }
#endif

    /// A node like `other`, in the same graph, with a copy of its initial body and a pool of its own; without
    /// its edges and messages. Forks, and throws std::system_error.
    ordered_process_node(const ordered_process_node& other)
        : ordered_process_node(other.owner(), other.options_, other.body_, other.own_priority(),
                               shared_tag{}) {}

    /// Like try_put, but waits for room, whatever the policy, at most `timeout`. Thread-safe. False: there
    /// was no room in time, and the message was not taken.
    ///
    /// Who waits helps: the calling thread may emit outcomes to successors, and a thread of oneTBB may run
    /// other tasks while a successor keeps the node waiting, also such from outside of the isolated region
    /// that it may be in; so hold no lock that they need. A successor that the node is just emitting to
    /// cannot wait for room: its message is queued, or refused at once if the node rejects. Calls that help
    /// each other are nested, with a body's stack each. Where half of the thread's stack is used, a queueing
    /// node queues the message; with one that rejects the call goes on on a further stack. Throws
    /// std::system_error, and takes nothing, if there is no memory for that, or no thread for the timeout.
    template <class Rep, class Period>
    bool put(const Input& message, std::chrono::duration<Rep, Period> timeout) {
        return this->put_until(message, detail::deadline_after(timeout));
    }

    /// A buffer of `bytes`, with any contents, for messages to this node: see forkflow/buffer.hpp. Throws
    /// std::bad_alloc if the system has no memory, or options.buffer_bytes leave no room: outcomes that are
    /// out and copies that are gone make it. Thread-safe, but not while the graph is reset. Cost: a system
    /// call, and a page fault for each page that was not used lately.
    [[nodiscard]] buffer make_buffer(std::size_t bytes) {
        return this->stream().make_buffer(bytes);
    }
    /// The same, but nothing if options.buffer_bytes leave no room.
    [[nodiscard]] std::optional<buffer> try_make_buffer(std::size_t bytes) {
        return this->stream().try_make_buffer(bytes);
    }

    /// One consistent snapshot. Thread-safe. Cost: one look at each message in flight.
    [[nodiscard]] forkflow::statistics statistics() const {
        return this->snapshot();
    }

    /// A copy of the initial body, for tbb::flow::copy_body. Workers change copies of their own. Throws
    /// std::bad_cast if the body is of another type. Thread-safe.
    template <class Body>
    [[nodiscard]] Body copy_function_object() const {
        return dynamic_cast<const detail::initial_body_of<Input, Output, Body>&>(*body_).body();
    }

    /// Gives the node a name in tracing tools, as tbb::flow::set_name does for oneTBB's nodes. For one
    /// thread.
    friend void set_name(const ordered_process_node& node, const char* name) {
        node.name_for_tracing(name);
    }

private:
    struct shared_tag {};

    template <class Body>
    static std::shared_ptr<const initial_body> shared(Body body) {
        return std::make_shared<const detail::initial_body_of<Input, Output, Body>>(std::move(body));
    }

    ordered_process_node(tbb::flow::graph& g, pool_options options, std::shared_ptr<const initial_body> body,
                         tbb::flow::node_priority_t priority, shared_tag /*unused*/)
        : base(g, priority,
               [options, body](std::function<void()> on_progress) {
                   return body->make_stream(options, std::move(on_progress));
               })
        , options_(std::move(options))
        , body_(std::move(body)) {}

    pool_options options_;
    std::shared_ptr<const initial_body> body_;
};

// The first argument is a graph or, in oneTBB's preview of it, a set of nodes.
template <class GraphOrSet, detail::has_signature Body>
ordered_process_node(GraphOrSet&&, std::size_t, Body, tbb::flow::node_priority_t = tbb::flow::no_priority)
    -> ordered_process_node<detail::input_of<Body>, detail::output_of<Body>>;
template <class GraphOrSet, detail::has_signature Body, class Policy>
ordered_process_node(GraphOrSet&&, std::size_t, Body, Policy,
                     tbb::flow::node_priority_t = tbb::flow::no_priority)
    -> ordered_process_node<detail::input_of<Body>, detail::output_of<Body>, Policy>;
template <class GraphOrSet, detail::has_signature Body>
ordered_process_node(GraphOrSet&&, pool_options, Body, tbb::flow::node_priority_t = tbb::flow::no_priority)
    -> ordered_process_node<detail::input_of<Body>, detail::output_of<Body>>;
template <class GraphOrSet, detail::has_signature Body, class Policy>
ordered_process_node(GraphOrSet&&, pool_options, Body, Policy,
                     tbb::flow::node_priority_t = tbb::flow::no_priority)
    -> ordered_process_node<detail::input_of<Body>, detail::output_of<Body>, Policy>;

} // namespace forkflow
