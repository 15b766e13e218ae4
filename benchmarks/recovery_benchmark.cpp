// SPDX-License-Identifier: MIT
// What a death costs, and what recycling costs.
//
// `recovery`: from kill -9 of the worker that runs a message to the message's result out of the pool, which
// a fresh worker has made in the second attempt; beside it, in the same run and process, a fork, its exit and
// the wait for it. `recycling`: messages per second with workers that are replaced after 200 messages each,
// beside the same without; with workers that compute, which leave no processor to those who come and go, and
// with workers that wait. Both print the ratio. "The longest gap" is the longest time between two results.
#include <forkflow/nodes/pool.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <new>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;
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

/// Who runs the message: 0 until its first attempt has begun. Shared with the workers.
class shared_pid {
public:
    shared_pid()
        : value_(new (::mmap(nullptr, sizeof(std::atomic<pid_t>), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<pid_t>(0)) {}
    ~shared_pid() { ::munmap(value_, sizeof(std::atomic<pid_t>)); }
    shared_pid(const shared_pid&) = delete;
    shared_pid& operator=(const shared_pid&) = delete;

    std::atomic<pid_t>* operator->() const noexcept { return value_; }

private:
    std::atomic<pid_t>* value_;
};

double percentile_us(std::vector<seconds> times, double part) {
    const auto place =
        times.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), place, times.end());
    return place->count() * 1e6;
}

seconds time_of_a_fork() {
    const auto start = clock_type::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    return clock_type::now() - start;
}

void recovery(benchmark::State& state) {
    const shared_pid runner;
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

/// Takes `rounds` times as much processor time as one.
void compute(std::uint64_t rounds) {
    std::uint64_t value = rounds;
    for (; rounds > 0; --rounds) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        benchmark::DoNotOptimize(value);
    }
}

/// How many rounds this processor makes in a microsecond: the best of many tries.
std::uint64_t rounds_per_us() {
    constexpr std::uint64_t tried = 20'000;
    auto best = seconds::max();
    for (int i = 0; i < 200; ++i) {
        const auto start = clock_type::now();
        compute(tried);
        best = std::min<seconds>(best, clock_type::now() - start);
    }
    return static_cast<std::uint64_t>(tried / (best.count() * 1e6));
}

struct passage {
    seconds time{0};
    seconds longest_gap{0};
};

/// Sends `count` messages through.
passage pass(direct_pool& pool, std::uint64_t count) {
    const auto start = clock_type::now();
    std::thread producer([&] {
        for (std::uint64_t value = 0; value < count; ++value) {
            pool.put(value);
        }
    });
    passage all;
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
    const auto body = [waits, work_us, rounds = work_us * rounds_per_us()](nodes::worker_call& call) {
        if (waits) {
            std::this_thread::sleep_for(std::chrono::microseconds(work_us));
        } else {
            compute(rounds);
        }
        call.result.write_value(call.request.read_value<std::uint64_t>());
    };
    forkflow::pool_options options{.workers = static_cast<std::size_t>(state.range(0)), .window = 256};
    direct_pool plain(options, body);
    options.recycle_after = 200;
    direct_pool recycled(options, body);
    const std::uint64_t count = 1'000'000 / (work_us + 10);
    passage without;
    passage with;
    for (auto _ : state) { // turn by turn, so that both see the same machine
        const passage first = pass(plain, count);
        const passage second = pass(recycled, count);
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

BENCHMARK(recovery)->ArgName("workers")->Arg(1)->Arg(2)->Arg(8)->Iterations(400)->UseManualTime();
BENCHMARK(recycling)
    ->ArgNames({"workers", "work_us", "waits"})
    ->Args({2, 0, 0})
    ->Args({2, 20, 0})
    ->Args({2, 200, 0})
    ->Args({8, 200, 1})
    ->Iterations(10)
    ->UseManualTime();

} // namespace

BENCHMARK_MAIN();
