// SPDX-License-Identifier: MIT
// What a death costs, and what recycling costs.
//
// `recovery`: from kill -9 of the worker that runs a message to the message's result out of the pool, which
// a fresh worker has made in the second attempt; beside it, in the same run and process, a fork, its exit and
// the wait for it. `recycling`: messages per second with workers that are replaced after so many messages
// each, beside the same without; with workers that compute, which leave no processor to those who come and
// go, and with workers that wait. Both print the ratio. "The longest gap" is the longest time between two
// results.
#include "instruments/bodies.hpp"
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"
#include "instruments/shared_value.hpp"
#include "instruments/timing.hpp"
#include "peers/child_process.hpp"

#include <forkflow/nodes/pool.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

namespace forkflow_benchmark {
namespace {

using clock_type = std::chrono::steady_clock;
namespace nodes = forkflow::nodes;

/// A pool without a graph: messages are numbers, and the results must come in their order.
class direct_pool {
public:
    direct_pool(const forkflow::pool_options& options, nodes::worker_body body)
        : pool_(options, std::move(body), [this] { progress(); }) {}

    /// For one thread.
    void put(std::uint64_t value) {
        for (;;) {
            if (const auto number = pool_.try_reserve(nodes::message_kind::request)) {
                nodes::byte_writer to = pool_.writer(*number);
                to.write_value(value);
                pool_.commit_request(*number, to);
                return;
            }
            if (pool_.arm_for_room()) {
                room_.acquire();
            }
        }
    }
    /// For one thread. Waits for the next result, and takes it.
    std::uint64_t take() {
        const std::scoped_lock collecting(pool_.collecting());
        for (;;) {
            if (const auto outcome = pool_.peek()) {
                if (nodes::pool::is_failure(*outcome)) {
                    throw std::runtime_error(describe(pool_.take_failure(*outcome)));
                }
                nodes::byte_reader from(outcome->payload);
                const auto value = from.read_value<std::uint64_t>();
                pool_.release(nodes::pool::fate::result);
                return value;
            }
            if (pool_.rest()) {
                outcomes_.acquire();
            }
        }
    }
    [[nodiscard]] forkflow::statistics statistics() const { return pool_.snapshot(); }

private:
    void progress() {
        outcomes_.release();
        room_.release();
    }

    // A wake too many makes the sleeper look once more.
    std::counting_semaphore<> outcomes_{0};
    std::counting_semaphore<> room_{0};
    nodes::pool pool_;
};

double percentile_us(const std::vector<seconds>& times, double part) {
    return percentile(times, part).count() * 1e6;
}

seconds time_of_a_fork() {
    return timed([] { const child_process child([] {}); });
}

void recovery(benchmark::State& state) {
    /// Who runs the message: 0 until its first attempt has begun.
    const shared_value<std::atomic<pid_t>> runner;
    direct_pool pool({.workers = static_cast<std::size_t>(state.range(0)), .attempts = 2},
                     [&runner](nodes::worker_call& call) {
                         if (runner->exchange(::getpid()) == 0) {
                             ::pause(); // until it is killed
                         }
                         call.result.write_value(call.request.read_value<std::uint64_t>());
                     });
    std::vector<seconds> recoveries;
    std::vector<seconds> forks;
    for (auto _ : state) {
        forks.push_back(time_of_a_fork());
        runner->store(0);
        pool.put(7);
        while (runner->load() == 0) {
            ::sched_yield();
        }
        const auto start = clock_type::now();
        ::kill(runner->load(), SIGKILL);
        if (pool.take() != 7) {
            throw std::runtime_error("a wrong result");
        }
        recoveries.emplace_back(clock_type::now() - start);
        state.SetIterationTime(recoveries.back().count());
    }
    state.counters["p50_us"] = percentile_us(recoveries, 0.5);
    state.counters["p99_us"] = percentile_us(recoveries, 0.99);
    state.counters["fork_p50_us"] = percentile_us(forks, 0.5);
    state.counters["fork_p99_us"] = percentile_us(forks, 0.99);
    state.counters["x_fork"] = percentile_us(recoveries, 0.5) / percentile_us(forks, 0.5);
    state.counters["deaths"] = static_cast<double>(pool.statistics().deaths);
}

/// How one stream of messages went.
struct stream_times {
    seconds time{0};
    seconds longest_gap{0};
};

/// Sends `count` messages through.
stream_times pass(direct_pool& pool, std::uint64_t count) {
    const auto start = clock_type::now();
    std::thread producer([&] {
        for (std::uint64_t value = 0; value < count; ++value) {
            pool.put(value);
        }
    });
    stream_times all;
    auto last = start;
    for (std::uint64_t value = 0; value < count; ++value) {
        if (pool.take() != value) {
            throw std::runtime_error("a result out of order");
        }
        const auto now = clock_type::now();
        all.longest_gap = std::max<seconds>(all.longest_gap, now - last);
        last = now;
    }
    all.time = last - start;
    producer.join();
    return all;
}

void recycling(benchmark::State& state) {
    const auto work_us = static_cast<std::uint64_t>(state.range(1));
    const bool waits = state.range(2) != 0;
    const auto body = [waits, work_us,
                       rounds = rounds_of(std::chrono::microseconds(work_us))](nodes::worker_call& call) {
        if (waits) {
            std::this_thread::sleep_for(std::chrono::microseconds(work_us));
        } else {
            compute(rounds);
        }
        call.result.write_value(call.request.read_value<std::uint64_t>());
    };
    forkflow::pool_options options{.workers = static_cast<std::size_t>(state.range(0)), .window = 256};
    direct_pool plain(options, body);
    options.recycle_after = static_cast<std::size_t>(state.range(3));
    direct_pool recycled(options, body);
    const std::uint64_t count = scaled(1'000'000 / (work_us + 10));
    stream_times without;
    stream_times with;
    for (auto _ : state) { // turn by turn, so that both see the same machine
        const stream_times first = pass(plain, count);
        const stream_times second = pass(recycled, count);
        without.time += first.time;
        with.time += second.time;
        without.longest_gap = std::max(without.longest_gap, first.longest_gap);
        with.longest_gap = std::max(with.longest_gap, second.longest_gap);
        state.SetIterationTime(second.time.count());
    }
    const auto messages = static_cast<double>(state.iterations()) * static_cast<double>(count);
    state.counters["per_s"] = messages / with.time.count();
    state.counters["per_s_without"] = messages / without.time.count();
    state.counters["ratio"] = without.time / with.time;
    state.counters["gap_us"] = with.longest_gap.count() * 1e6;
    state.counters["gap_us_without"] = without.longest_gap.count() * 1e6;
    state.counters["recycled"] = static_cast<double>(recycled.statistics().recycled);
}

} // namespace

void register_benchmarks() {
    const auto iterations = static_cast<benchmark::IterationCount>(scaled(400));
    benchmark::RegisterBenchmark("recovery", recovery)
        ->ArgName("workers")
        ->Arg(1)
        ->Arg(2)
        ->Arg(8)
        ->Iterations(iterations)
        ->Repetitions(1)
        ->UseManualTime();
    benchmark::RegisterBenchmark("recycling", recycling)
        ->ArgNames({"workers", "work_us", "waits", "after"})
        ->Args({2, 0, 0, 200})
        ->Args({2, 0, 0, 10'000})
        ->Args({2, 20, 0, 200})
        ->Args({2, 20, 0, 2'000})
        ->Args({2, 200, 0, 200})
        ->Args({2, 200, 0, 5'000})
        ->Args({8, 200, 1, 200})
        ->Args({8, 200, 1, 5'000})
        ->Iterations(chosen_effort() == effort::full ? 10 : 1)
        ->Repetitions(1)
        ->UseManualTime();
}

} // namespace forkflow_benchmark
