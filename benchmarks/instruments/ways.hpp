// SPDX-License-Identifier: MIT
// The ways in which a program that uses oneTBB can send messages through a body and have them leave in order:
// through ordered_process_node, and in its own threads. Each runs all messages once, after some to warm up,
// and returns the time of one.
//
// Source makes a message from its number; Body maps a message to a message.
#pragma once

#include "instruments/messages.hpp"
#include "instruments/readiness.hpp"
#include "instruments/timing.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace forkflow_benchmark {

namespace flow = tbb::flow;

/// Who gives messages to the first node.
enum class feed { try_put, input_node };

/// How many messages, who runs them, and how many may be inside.
struct load {
    std::uint64_t messages;
    std::size_t workers = 2;
    std::size_t window = 0; ///< 0: the way's own default
    std::size_t most_bytes = 1024;
    feed by = feed::input_node;
};

namespace detail {

/// The messages of one pass: first some to warm up, then those that are measured.
struct passage {
    explicit passage(std::uint64_t measured)
        : warm_up(measured / 10 + 1)
        , all(warm_up + measured)
        , end(warm_up) {}

    std::uint64_t warm_up;
    std::uint64_t all;
    std::uint64_t next = 0;
    std::uint64_t end; ///< where the source stops
};

/// The source's body. parallel_pipeline calls only what is const.
template <class Source>
auto counting(passage& at, Source make) {
    return [&at, make](tbb::flow_control& control) {
        if (at.next == at.end) {
            control.stop();
            return typename Source::type{};
        }
        return make(at.next++);
    };
}

template <class Message>
auto taking(in_order& out) {
    return [&out](const Message& message) noexcept { out.take(number_of(message)); };
}

/// Runs `pass` until the warm-up is over, then times it until the end.
template <class Pass>
seconds time_of_pass(passage& at, Pass&& pass) {
    pass();
    at.end = at.all;
    return timed(pass);
}

/// Feeds `first` until all messages have left the graph.
template <class Source>
seconds run_graph(flow::graph& g, flow::receiver<typename Source::type>& first, feed by, passage& at,
                  const Source& make) {
    if (by == feed::try_put) {
        return time_of_pass(at, [&] {
            for (; at.next < at.end; ++at.next) {
                first.try_put(make(at.next));
            }
            g.wait_for_all();
        });
    }
    flow::input_node<typename Source::type> source(g, counting(at, make));
    flow::make_edge(source, first);
    return time_of_pass(at, [&] {
        source.activate();
        g.wait_for_all();
    });
}

template <class Message, class Policy, class Source, class Body>
seconds run_node(const load& all, const Source& make, Body body, in_order& out, passage& at) {
    flow::graph g;
    const readiness ready;
    forkflow::ordered_process_node<Message, Message, Policy> node(g,
                                                                  {.workers = all.workers,
                                                                   .window = all.window,
                                                                   .max_message_bytes = all.most_bytes,
                                                                   .worker_init = ready.worker_init()},
                                                                  body);
    flow::function_node<Message, flow::continue_msg, flow::lightweight> sink(g, flow::serial,
                                                                             taking<Message>(out));
    flow::make_edge(node, sink);
    ready.wait_for(all.workers);
    return run_graph(g, node, all.by, at, make);
}

template <class Run>
seconds one_of(const load& all, Run&& run) {
    in_order out;
    passage at(all.messages);
    const seconds taken = run(out, at);
    out.check(at.all);
    return taken / static_cast<double>(all.messages);
}

} // namespace detail

/// ordered_process_node. A source that can wait meets a node that refuses.
template <class Source, class Body>
seconds through_node(const load& all, const Source& make, const Body& body) {
    using message = typename Source::type;
    return detail::one_of(all, [&](in_order& out, detail::passage& at) {
        return all.by == feed::try_put ? detail::run_node<message, flow::queueing>(all, make, body, out, at)
                                       : detail::run_node<message, flow::rejecting>(all, make, body, out, at);
    });
}

/// function_node(unlimited) → sequencer_node, in as many threads as oneTBB likes. With a window, behind a
/// limiter_node, and then fed by an input_node.
template <class Source, class Body>
seconds through_sequencer(const load& all, const Source& make, const Body& body) {
    using message = typename Source::type;
    return detail::one_of(all, [&](in_order& out, detail::passage& at) {
        flow::graph g;
        flow::limiter_node<message> limiter(g, all.window == 0 ? 1 : all.window);
        flow::function_node<message, message> node(g, flow::unlimited, body);
        flow::sequencer_node<message> order(g, [](const message& m) -> std::size_t { return number_of(m); });
        flow::function_node<message, flow::continue_msg, flow::lightweight> sink(
            g, flow::serial, detail::taking<message>(out));
        flow::make_edge(node, order);
        flow::make_edge(order, sink);
        if (all.window == 0) {
            return detail::run_graph(g, node, all.by, at, make);
        }
        flow::make_edge(limiter, node);
        flow::make_edge(sink, limiter.decrementer());
        return detail::run_graph(g, limiter, all.by, at, make);
    });
}

/// parallel_pipeline with as many tokens as the window.
template <class Source, class Body>
seconds through_pipeline(const load& all, const Source& make, const Body& body) {
    using message = typename Source::type;
    using tbb::filter_mode;
    return detail::one_of(all, [&](in_order& out, detail::passage& at) {
        const auto chain =
            tbb::make_filter<void, message>(filter_mode::serial_in_order, detail::counting(at, make)) &
            tbb::make_filter<message, message>(filter_mode::parallel, body) &
            tbb::make_filter<message, void>(filter_mode::serial_in_order, detail::taking<message>(out));
        return detail::time_of_pass(at, [&] { tbb::parallel_pipeline(all.window, chain); });
    });
}

/// Runs one of oneTBB's ways in this many threads.
template <class Run>
seconds with_threads(std::size_t count, Run run) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, count);
    tbb::task_arena arena(static_cast<int>(count));
    return arena.execute(run);
}

} // namespace forkflow_benchmark
