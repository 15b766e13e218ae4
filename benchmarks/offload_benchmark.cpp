// SPDX-License-Identifier: MIT
// What a message costs: through worker processes, and through oneTBB's own ways to keep order in one process.
//
// Each benchmark sends the same messages of 64 bytes through (a) ordered_process_node, fed by an input_node
// or by try_put, (b) function_node(unlimited) into sequencer_node, (c) parallel_pipeline; once with an empty
// body and once with one that computes for 20 µs. Run with --benchmark_repetitions=9
// --benchmark_enable_random_interleaving=true; the ratios to (b) and (c), from the medians of that run, are
// printed at the end.
#include "ratio_report.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <benchmark/benchmark.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace {

namespace flow = tbb::flow;
using seconds = std::chrono::duration<double>;

struct message {
    std::uint64_t number;
    std::array<std::uint64_t, 7> payload;
};
static_assert(sizeof(message) == 64);

std::uint64_t compute(std::uint64_t seed, std::uint64_t rounds) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        benchmark::DoNotOptimize(seed);
    }
    return seed;
}

/// How many rounds of `compute` take 20 µs of this processor when nothing else runs: the best of many tries.
std::uint64_t rounds_of_20_us() {
    constexpr std::uint64_t tried = 20'000;
    auto best = seconds::max();
    for (int i = 0; i < 200; ++i) {
        const auto start = std::chrono::steady_clock::now();
        compute(static_cast<std::uint64_t>(i), tried);
        best = std::min<seconds>(best, std::chrono::steady_clock::now() - start);
    }
    return static_cast<std::uint64_t>(20e-6 / (best.count() / tried));
}

struct empty_body {
    static constexpr std::uint64_t messages = 100'000;
    message operator()(const message& in) const { return in; }
};

struct computing_body {
    static constexpr std::uint64_t messages = 4'000;
    std::uint64_t rounds = [] {
        static const std::uint64_t measured = rounds_of_20_us();
        return measured;
    }();
    message operator()(const message& in) const {
        message out = in;
        out.payload[0] = compute(in.number, rounds);
        return out;
    }
};

/// The sink of every benchmark: all messages must come out, in order.
class in_order {
public:
    void take(const message& out) noexcept {
        wrong_ |= out.number != next_;
        ++next_;
    }
    void check(std::uint64_t expected) const {
        if (wrong_ || next_ != expected) {
            throw std::runtime_error("messages came out of order, or not at all");
        }
    }

private:
    std::uint64_t next_ = 0;
    bool wrong_ = false;
};

/// The body of a source: messages 0 to count - 1.
auto numbers(std::uint64_t count) {
    return [count, next = std::make_shared<std::uint64_t>(0)](tbb::flow_control& control) -> message {
        if (*next == count) {
            control.stop();
            return {};
        }
        return {.number = (*next)++, .payload = {}};
    };
}

using sink_node = flow::function_node<message, flow::continue_msg, flow::lightweight>;

auto taking(in_order& out) {
    return [&out](const message& m) noexcept { out.take(m); };
}

template <class Run>
seconds timed(Run&& run) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::steady_clock::now() - start;
}

void put_all(flow::receiver<message>& first, std::uint64_t count) {
    for (std::uint64_t number = 0; number < count; ++number) {
        first.try_put({.number = number, .payload = {}});
    }
}

/// Runs `pass(out)`, which returns how long the messages took, once per iteration.
template <class Body, class Pass>
void measure(benchmark::State& state, Pass&& pass) {
    seconds all{0};
    for (auto _ : state) {
        in_order out;
        const seconds taken = pass(out);
        state.SetIterationTime(taken.count());
        out.check(Body::messages);
        all += taken;
    }
    const auto messages = static_cast<double>(state.iterations()) * static_cast<double>(Body::messages);
    state.counters["ns_per_message"] = all.count() * 1e9 / messages;
}

forkflow::pool_options pool_of(const benchmark::State& state) {
    return {.workers = static_cast<std::size_t>(state.range(0)),
            .window = static_cast<std::size_t>(state.range(1))};
}

template <class Body>
void process_node(benchmark::State& state) {
    measure<Body>(state, [&](in_order& out) {
        flow::graph g;
        forkflow::ordered_process_node<message, message, flow::rejecting> node(g, pool_of(state), Body{});
        sink_node sink(g, flow::serial, taking(out));
        flow::make_edge(node, sink);
        flow::input_node<message> source(g, numbers(Body::messages));
        flow::make_edge(source, node);
        return timed([&] {
            source.activate();
            g.wait_for_all();
        });
    });
}

template <class Body>
void process_node_put(benchmark::State& state) {
    measure<Body>(state, [&](in_order& out) {
        flow::graph g;
        forkflow::ordered_process_node<message, message> node(g, pool_of(state), Body{});
        sink_node sink(g, flow::serial, taking(out));
        flow::make_edge(node, sink);
        return timed([&] {
            put_all(node, Body::messages);
            g.wait_for_all();
        });
    });
}

template <class Body>
void sequencer(benchmark::State& state) {
    measure<Body>(state, [](in_order& out) {
        flow::graph g;
        flow::function_node<message, message> node(g, flow::unlimited, Body{});
        flow::sequencer_node<message> order(g, [](const message& m) -> std::size_t { return m.number; });
        sink_node sink(g, flow::serial, taking(out));
        flow::make_edge(node, order);
        flow::make_edge(order, sink);
        return timed([&] {
            put_all(node, Body::messages);
            g.wait_for_all();
        });
    });
}

template <class Body>
void pipeline(benchmark::State& state) {
    const auto tokens = static_cast<std::size_t>(state.range(0));
    measure<Body>(state, [&](in_order& out) {
        using tbb::filter_mode;
        const auto chain =
            tbb::make_filter<void, message>(filter_mode::serial_in_order, numbers(Body::messages)) &
            tbb::make_filter<message, message>(filter_mode::parallel, Body{}) &
            tbb::make_filter<message, void>(filter_mode::serial_in_order, taking(out));
        return timed([&] { tbb::parallel_pipeline(tokens, chain); });
    });
}

BENCHMARK_TEMPLATE(sequencer, empty_body)->UseManualTime();
BENCHMARK_TEMPLATE(pipeline, empty_body)->ArgName("tokens")->Arg(1024)->Arg(20)->UseManualTime();
BENCHMARK_TEMPLATE(process_node, empty_body)
    ->ArgNames({"workers", "window"})
    ->ArgsProduct({{1, 2}, {1024}})
    ->Args({2, 20})
    ->UseManualTime();
BENCHMARK_TEMPLATE(process_node_put, empty_body)
    ->ArgNames({"workers", "window"})
    ->ArgsProduct({{1, 2}, {1024}})
    ->Args({2, 20})
    ->UseManualTime();
BENCHMARK_TEMPLATE(sequencer, computing_body)->UseManualTime();
BENCHMARK_TEMPLATE(pipeline, computing_body)->ArgName("tokens")->Arg(20)->UseManualTime();
BENCHMARK_TEMPLATE(process_node, computing_body)
    ->ArgNames({"workers", "window"})
    ->Args({2, 20})
    ->UseManualTime();
BENCHMARK_TEMPLATE(process_node_put, computing_body)
    ->ArgNames({"workers", "window"})
    ->Args({2, 20})
    ->UseManualTime();

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    forkflow_benchmark::ratio_report report;
    benchmark::RunSpecifiedBenchmarks(&report);
    report.print_ratios(
        {"sequencer<empty_body>", "pipeline<empty_body>/tokens:1024", "pipeline<empty_body>/tokens:20"},
        "empty_body");
    report.print_ratios({"sequencer<computing_body>", "pipeline<computing_body>/tokens:20"},
                        "computing_body");
}
