// SPDX-License-Identifier: MIT
// What must hold for a stream of messages whatever the workers are made of. Each scenario is run over threads
// and over processes.
#pragma once

#include "catch.hpp"
#include "engine_driver.hpp"

#include <algorithm>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

namespace forkflow_test {

using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow::nodes::message_kind;
using forkflow::nodes::message_state;
using forkflow::nodes::sequence;
using forkflow::nodes::step;

/// Options of tests: messages are small, so rings are too.
/// Nobody looks now and then, so a wake that is lost stops the test: its watchdog says so.
inline pool_options small_pool(std::size_t workers, std::size_t window, std::size_t requests) {
    return {.workers = workers,
            .window = window,
            .requests = requests,
            .max_message_bytes = 4096,
            .testing = {.looks = false}};
}

/// The same, for what only somebody who looks can see: a deadline that has passed, a message that stands
/// still.
inline pool_options watched_pool(std::size_t workers, std::size_t window, std::size_t requests) {
    pool_options options = small_pool(workers, window, requests);
    options.testing.looks = true;
    return options;
}

struct stream_shape {
    std::size_t workers;
    std::size_t window;
    std::size_t requests;
    unsigned producers;
    std::size_t messages; ///< of each producer
    sequence first = 0;
    std::size_t window_bytes = 0;
    bool verify_results = false;
};

template <class World>
void a_stream_arrives_whole_and_in_order(const stream_shape& shape) {
    CAPTURE(shape.workers, shape.window, shape.requests, shape.producers, shape.first, shape.window_bytes,
            shape.verify_results);
    const engine_watchdog watchdog("a stream of messages");
    pool_options options = small_pool(shape.workers, shape.window, shape.requests);
    options.testing.first_sequence = shape.first;
    options.window_bytes = shape.window_bytes;
    options.verify_results = shape.verify_results;
    engine<World> tested(options);
    const std::size_t total = shape.producers * shape.messages;

    std::vector<seen_outcome> outcomes;
    std::thread collector([&] { outcomes = tested.collect(total); });
    std::vector<std::thread> producers;
    for (unsigned i = 0; i < shape.producers; ++i) {
        producers.emplace_back([&, i] {
            for (std::size_t k = 0; k < shape.messages; ++k) {
                tested.put(i + 1);
            }
        });
    }
    for (std::thread& producer : producers) {
        producer.join();
    }
    collector.join();

    REQUIRE(outcomes.size() == total);
    CHECK(faults(outcomes).empty());
    std::vector<std::size_t> of_producer(shape.producers + 1);
    for (const seen_outcome& one : outcomes) {
        CHECK((!one.failed && one.attempts == 1));
        ++of_producer.at(one.producer);
    }
    for (unsigned i = 1; i <= shape.producers; ++i) {
        CHECK(of_producer[i] <= shape.messages); // empty results do not tell whose they are
    }
    CHECK(std::accumulate(of_producer.begin(), of_producer.end(), std::size_t{0}) == total);
    const forkflow::statistics after = tested.statistics();
    CHECK((after.received == total && after.emitted == total && after.results == total &&
           after.in_flight == 0));
    CHECK((after.deaths == 0 && after.retries == 0));
}

template <class World>
void markers_keep_their_place_among_messages() {
    const engine_watchdog watchdog("markers among messages");
    engine<World> tested(small_pool(2, 8, 8));
    constexpr std::size_t total = 600;
    const auto is_marker = [](std::size_t index) { return index % 5 == 0 || index % 7 == 3; };
    std::thread producer([&] {
        for (std::size_t i = 0; i < total; ++i) {
            is_marker(i) ? tested.put_marker() : tested.put();
        }
    });
    const auto outcomes = tested.collect(total);
    producer.join();
    CHECK(faults(outcomes).empty());
    for (const seen_outcome& one : outcomes) {
        CHECK((one.state == message_state::marker) == is_marker(one.index));
    }
    // A marker waits for nobody: it leaves a pool whose workers have never been asked.
    CHECK(tested.statistics().markers ==
          static_cast<std::size_t>(std::count_if(outcomes.begin(), outcomes.end(),
                                                 [&](const auto& one) { return is_marker(one.index); })));
}

template <class World>
void at_most_requests_run_and_at_most_window_wait() {
    const engine_watchdog watchdog("the bounds");
    shared_value<gate> go;
    engine<World> tested(small_pool(2, 3, 5), {}, [&](std::uint64_t) { go->pass(); });
    const opened_at_end open(*go);
    // Nobody finishes: the requests are the bound.
    std::size_t accepted = 0;
    for (; accepted < 100 && tested.pool().has_room(); ++accepted) {
        tested.put();
    }
    CHECK(accepted == 5);
    CHECK_FALSE(tested.pool().try_reserve(message_kind::request).has_value());
    // Markers need no worker: all sequences in flight are the bound.
    std::size_t markers = 0;
    while (const auto reserved = tested.pool().try_reserve(message_kind::marker)) {
        tested.pool().commit_marker(*reserved);
        ++markers;
    }
    CHECK(markers == 3);
    CHECK_FALSE(tested.pool().try_reserve(message_kind::request).has_value());
    const forkflow::statistics full = tested.statistics();
    CHECK((full.in_flight == 8 && full.finished == 3 && full.waiting + full.running == 5));

    go->open();
    CHECK(faults(tested.collect(8)).empty());
    CHECK(tested.pool().has_room(5));
    CHECK_FALSE(tested.pool().has_room(6));
}

/// With results kept back, at most `window` of them wait for their turn: one more worker would wait for
/// admission.
template <class World>
void results_wait_for_admission_beyond_the_window() {
    const engine_watchdog watchdog("admission");
    engine<World> tested(small_pool(3, 4, 16));
    tested.put_many(16);
    REQUIRE(eventually([&] { return tested.world().passages(step::awaiting_admission) >= 3; }));
    const forkflow::statistics full = tested.statistics();
    CHECK(full.finished == 4);
    CHECK(full.running == 3);
    CHECK(full.waiting == 9);
    CHECK(faults(tested.collect(16)).empty());
}

/// Two messages that need each other run at the same time, though the later one was committed first.
template <class World>
void messages_committed_out_of_order_run_at_the_same_time() {
    const engine_watchdog watchdog("two messages, committed out of order, that wait for each other",
                                   std::chrono::seconds(200));
    struct meeting {
        std::atomic<std::uint32_t> present[64];
    };
    shared_value<meeting> pairs;
    shared_value<std::atomic<bool>> given_up;
    const auto meet = [&](std::uint64_t index) {
        std::atomic<std::uint32_t>& here = pairs->present[index / 2];
        here.fetch_add(1);
        forkflow::nodes::futex_wake(here, 1);
        while (here.load() == 1 && !given_up->load()) {
            ::sched_yield();
        }
    };
    engine<World> tested(small_pool(2, 8, 8), {}, meet);
    for (std::size_t pair = 0; pair < 20; ++pair) {
        // Both workers sleep, so that they run only what they are woken for.
        REQUIRE(eventually([&] {
            return tested.world().passages(step::parking) >= 2 && tested.world().asleep(0) &&
                   tested.world().asleep(1);
        }));
        const std::uint64_t first = tested.reserve();
        const std::uint64_t second = tested.reserve();
        tested.commit(second);
        tested.commit(first);
        const bool met =
            eventually([&] { return pairs->present[pair].load() == 2; }, std::chrono::seconds(30));
        if (!met) {
            given_up->store(true);
        }
        CHECK(faults(tested.collect(2)).empty());
        INFO("pair " << pair << ": one worker slept with a message ready");
        REQUIRE(met);
    }
}

/// A message that was committed behind a gap runs once the gap is filled, by whatever fills it.
template <class World>
void a_filled_gap_wakes_who_waited_behind_it(bool by_marker) {
    CAPTURE(by_marker);
    const engine_watchdog watchdog("a message behind a gap", std::chrono::seconds(200));
    engine<World> tested(small_pool(1, 8, 8));
    for (std::uint32_t round = 0; round < 20; ++round) {
        CAPTURE(round);
        const auto parked = [&] { return tested.world().passages(step::parking); };
        std::uint32_t before = 0;
        REQUIRE(eventually([&] {
            before = parked();
            return before > round && tested.world().asleep(0) && parked() == before;
        }));
        const std::uint64_t gap = tested.reserve(by_marker ? message_kind::marker : message_kind::request);
        const std::uint64_t behind = tested.reserve();
        tested.commit(behind); // wakes the worker, which finds the gap
        REQUIRE(eventually([&] { return parked() > before && tested.world().asleep(0); }));
        if (by_marker) {
            tested.pool().commit_marker(tested.number_of(gap));
        } else {
            tested.pool().commit_failure(tested.number_of(gap), {});
        }
        const bool taken = eventually([&] { return tested.world().passages(step::claimed) == round + 1; },
                                      std::chrono::seconds(30));
        if (!taken) {
            tested.put(); // wakes the worker, so that the test ends
            (void)tested.collect(3);
        }
        REQUIRE(taken);
        CHECK(faults(tested.collect(2)).empty());
    }
}

/// A worker that sleeps costs nothing, and a message wakes one of them, not all.
template <class World>
void a_message_wakes_at_most_one_worker() {
    const engine_watchdog watchdog("single wakes");
    engine<World> tested(small_pool(3, 8, 8));
    constexpr std::size_t total = 200;
    for (std::size_t i = 0; i < total; ++i) {
        tested.put();
        CHECK(faults(tested.collect(1)).empty());
    }
    CHECK(tested.world().passages(step::woken) <= total);
}

template <class World>
void what_a_body_throws_becomes_a_failure_in_its_place() {
    const engine_watchdog watchdog("throwing bodies");
    engine<World> tested(small_pool(2, 8, 8), {}, [](std::uint64_t index) {
        if (index % 10 == 3) {
            throw std::out_of_range("message " + std::to_string(index));
        }
        if (index % 10 == 6) {
            throw 42;
        }
    });
    std::thread producer([&] { tested.put_many(200); });
    const auto outcomes = tested.collect(200);
    producer.join();
    CHECK(faults(outcomes).empty());
    for (const seen_outcome& one : outcomes) {
        CAPTURE(one.index);
        CHECK(one.failed == (one.index % 10 == 3 || one.index % 10 == 6));
        CHECK(one.attempts == 1);
        if (one.failed) {
            CHECK(one.failure.kind == failure_kind::threw);
            CHECK(one.failure.sequence == one.index);
            CHECK(one.failure.pid > 0);
            CHECK_FALSE(one.failure.stack_trace.empty());
            const bool standard = one.index % 10 == 3;
            CHECK(one.failure.exception_type == (standard ? "std::out_of_range" : "int"));
            CHECK(one.failure.what == (standard ? "message " + std::to_string(one.index) : ""));
        }
    }
    CHECK(tested.statistics().failures == 40);
    CHECK(tested.statistics().deaths == 0);
}

template <class World>
void what_does_not_fit_becomes_a_failure_in_its_place() {
    const engine_watchdog watchdog("large messages");
    pool_options options = small_pool(2, 8, 8);
    options.max_message_bytes = 600;
    const auto body = [](forkflow::nodes::worker_call& call) {
        const auto size = call.request.template read_value<std::uint32_t>();
        write_pattern(call.result, 1, size);
    };
    engine<World> tested(options, {}, body, [](auto&) {});
    struct shape {
        std::uint32_t request;
        std::uint32_t result;
    };
    const std::vector<shape> shapes = {{600, 600}, {601, 1}, {4, 601},    {240, 240},
                                       {241, 241}, {5, 0},   {9, 100'000}};
    std::vector<forkflow::failure> failures;
    for (const shape& each : shapes) {
        const auto reserved = tested.pool().try_reserve(message_kind::request);
        REQUIRE(reserved.has_value());
        forkflow::nodes::byte_writer to = tested.pool().writer(*reserved);
        to.write_value(each.result);
        write_pattern(to, 2, each.request - 4);
        tested.pool().commit_request(*reserved, to);
    }
    const auto outcomes = tested.collect(shapes.size()); // what check_result says of these is not meant
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        CAPTURE(i);
        const std::size_t largest = std::max(shapes[i].request, shapes[i].result);
        CHECK(outcomes[i].failed == (largest > 600));
        if (outcomes[i].failed) {
            CHECK(outcomes[i].failure.kind == failure_kind::too_large);
            CHECK(outcomes[i].failure.size_bytes == largest);
            CHECK(outcomes[i].failure.limit_bytes == 600);
        }
    }
}

template <class World>
void workers_are_replaced_after_their_share_of_messages(std::size_t workers, std::size_t share) {
    CAPTURE(workers, share);
    const engine_watchdog watchdog("recycling");
    pool_options options = small_pool(workers, 8, 8);
    options.recycle_after = share;
    engine<World> tested(options);
    std::uint64_t messages = 0;
    while (tested.statistics().recycled < 10) { // a worker goes on while its relief comes into being
        std::thread producer([&] { tested.put_many(60); });
        const auto outcomes = tested.collect(60);
        producer.join();
        messages += 60;
        CHECK(faults(outcomes).empty());
        for (const seen_outcome& one : outcomes) {
            CHECK(one.attempts == 1);
        }
    }
    CHECK(tested.world().passages(step::retiring) <= messages / share);
    CHECK(tested.world().passages(step::relieved) <= tested.world().passages(step::retiring));
    CHECK(tested.statistics().deaths == 0);
}

/// The end of a pool waits for nobody: not for messages, nor for workers that run, sleep or wait for
/// admission.
template <class World>
void a_pool_ends_while_everything_is_in_flight() {
    const engine_watchdog watchdog("the end of a full pool");
    for (const std::size_t window : {std::size_t{1}, std::size_t{16}}) {
        engine<World> tested(small_pool(3, window, 16));
        tested.put_many(16);
        REQUIRE(eventually([&] { return tested.world().passages(step::published) >= 1; }));
    }
    for (int i = 0; i < 20; ++i) { // before its workers have come to life
        engine<World> idle(small_pool(3, 4, 4));
    }
}

} // namespace forkflow_test
