// SPDX-License-Identifier: MIT
// worker_init that throws, dies or hangs: in all workers, in some, and later.
#include "support/births.hpp"
#include "support/catch.hpp"
#include "support/engine_watchdog.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/nodes/steps.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <variant>

#include <unistd.h>

namespace worker_init_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow::nodes::step;
using forkflow_test::births;
using forkflow_test::bounded_test;
using forkflow_test::eventually;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;

namespace {

void hang() {
    for (;;) {
        ::pause();
    }
}

/// All messages fail, with a text that holds `words`.
void check_that_the_pool_fails(const std::function<void()>& init, const std::string& words,
                               std::chrono::nanoseconds most = 1min) {
    for (const std::size_t workers : {std::size_t{1}, std::size_t{3}, std::size_t{8}}) {
        CAPTURE(workers, words);
        number_line line(pool_options{.workers = workers, .worker_init = init, .init_deadline = most},
                         itself);
        line.put(0, 30);
        line.finish();
        CHECK(line.fault(30, [&](number /*message*/, const failure& found) {
            return found.kind == failure_kind::pool_failed && found.what.find(words) != std::string::npos;
        }) == "");
        CHECK(line.outcomes()[0].index() == 1);
        line.put(30, 31); // what comes later fails at once
        line.finish();
        CHECK(line.outcomes()[30].index() == 1);
    }
}

/// A body that kills its worker at the first attempt at every message of which `deadly` is true.
number_line::body deadly_body(const births& register_of, const std::function<bool(number)>& deadly) {
    return [&register_of, deadly](number message) {
        if (register_of.begin(message) == 0 && deadly(message)) {
            ::raise(SIGKILL);
        }
        return message;
    };
}

} // namespace

TEST_CASE("A worker_init that throws, dies or hangs in every worker fails the pool, which says why") {
    const bounded_test bounds;
    check_that_the_pool_fails([] { throw std::runtime_error("no model"); },
                              "worker_init threw std::runtime_error: no model");
    check_that_the_pool_fails([] { throw 7; }, "worker_init threw int"); // NOLINT(hicpp-exception-baseclass)
    check_that_the_pool_fails([] { ::_exit(9); }, "the worker exited with status 9 in worker_init");
    check_that_the_pool_fails([] { std::exit(0); }, "the worker exited with status 0 in worker_init");
    check_that_the_pool_fails([] { ::raise(SIGKILL); }, "killed by signal 9 (Killed) in worker_init");
    check_that_the_pool_fails([] { std::abort(); }, "killed by signal 6 (Aborted) in worker_init");
    check_that_the_pool_fails(hang, "worker_init did not end within 300 ms", 300ms);
    check_that_the_pool_fails([] { ::raise(SIGSTOP); }, "worker_init did not end within 300 ms", 300ms);
}

TEST_CASE(
    "Workers that die while they wait for a first message fail the pool, which does not fork for ever") {
    const bounded_test bounds;
    for (const std::size_t workers : {std::size_t{1}, std::size_t{2}, std::size_t{8}}) {
        CAPTURE(workers);
        pool_options options{.workers = workers};
        options.testing.hook = [](step here, std::uint32_t /*seat*/) {
            if (here == step::parking) {
                ::raise(SIGALRM);
            }
        };
        number_line line(options, itself);
        // One in each seat may have died by chance; then five more are enough, unless another one has just
        // become ready. No more deaths come once the pool has failed. Before, a message is finished by the
        // next worker that starts, which is progress.
        const auto next_fails = [&, messages = number{0}]() mutable {
            const std::uint64_t enough = line.statistics().deaths + workers + 5;
            const auto another_since = [&](std::uint64_t seen) {
                return eventually([&] { return line.statistics().deaths > seen; }, 2s);
            };
            std::uint64_t seen = 0;
            do {
                seen = line.statistics().deaths;
            } while (seen < enough && another_since(seen));
            line.put(messages, messages + 1);
            line.finish();
            ++messages;
            const auto all = line.outcomes();
            const auto* const last = all.empty() ? nullptr : std::get_if<failure>(&all.back());
            return last != nullptr && last->kind == failure_kind::pool_failed;
        };
        REQUIRE(eventually(next_fails));
        const std::size_t until_it_failed = line.outcomes().size();
        line.put(static_cast<number>(until_it_failed), static_cast<number>(until_it_failed + 10));
        line.finish();
        const failure last = std::get<failure>(line.outcomes().back());
        CHECK(last.kind == failure_kind::pool_failed);
        CHECK(last.what.find("killed by signal 14") != std::string::npos);
        CHECK(line.statistics().failures >= 10);
    }
}

TEST_CASE("A worker_init that hangs makes wait_for_all throw a process_error") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, number> node(
        graph, pool_options{.workers = 2, .worker_init = hang, .init_deadline = 100ms}, itself);
    node.try_put(1);
    const std::optional<failure> thrown = forkflow_test::failure_of(graph);
    REQUIRE(thrown);
    CHECK(thrown->kind == failure_kind::pool_failed);
    CHECK(thrown->what.find("worker_init did not end within 100 ms") != std::string::npos);
}

TEST_CASE("A worker_init that takes almost all of its time, or has all the time in the world, is let be") {
    const bounded_test bounds;
    for (const std::chrono::nanoseconds most :
         {std::chrono::nanoseconds(20s), std::chrono::nanoseconds::max(), std::chrono::nanoseconds(0)}) {
        const births register_of(1);
        number_line line(pool_options{.workers = 2,
                                      .deadline = std::chrono::nanoseconds::max(),
                                      .worker_init =
                                          [&] {
                                              register_of.enroll();
                                              register_of.hold();
                                          },
                                      .init_deadline = most},
                         itself);
        line.put(0, 30);
        register_of.wait_for(2);
        register_of.release();
        line.finish();
        CHECK(line.fault(30) == "");
        CHECK(line.statistics().deaths == 0);
    }
}

TEST_CASE("When worker_init fails in every second worker, the pool goes on with the others") {
    const bounded_test bounds;
    constexpr number count = 100;
    const std::function<void()> ways[] = {[] { throw std::runtime_error("no licence"); }, [] { ::_exit(9); }};
    for (const auto& fail : ways) {
        for (const std::size_t workers : {std::size_t{1}, std::size_t{3}}) {
            const births register_of(count);
            const auto init = [&] {
                if (register_of.enroll() % 2 == 1) {
                    fail();
                }
            };
            number_line line(pool_options{.workers = workers, .worker_init = init},
                             deadly_body(register_of, [](number message) { return message % 13 == 5; }));
            line.put(0, count);
            line.finish();
            CHECK(line.fault(count) == "");
            CHECK(line.statistics().retries == 8);
        }
    }
}

TEST_CASE("A worker whose worker_init hangs is replaced while the others work") {
    const bounded_test bounds;
    const births register_of(1);
    const auto init = [&] {
        if (register_of.enroll() % 2 == 1) {
            hang();
        }
    };
    // Long enough for those that do not hang, on a machine that is busy.
    number_line line(pool_options{.workers = 3, .worker_init = init, .init_deadline = 2s}, itself);
    line.put(0, 50);
    register_of.wait_for(5); // the fourth hung too
    line.put(50, 100);
    line.finish();
    CHECK(line.fault(100) == "");
    CHECK(line.statistics().deaths == 2);
}

TEST_CASE("A seat whose workers cannot begin is filled more and more seldom, until one can") {
    const bounded_test bounds;
    const births register_of(1);
    const forkflow_test::shared_flags licence(1);
    const auto start = std::chrono::steady_clock::now();
    number_line line(pool_options{.workers = 2,
                                  .worker_init =
                                      [&] {
                                          if (register_of.enroll() >= 1 && licence.get(0) == 0) {
                                              throw std::runtime_error("no licence");
                                          }
                                      }},
                     itself);
    line.put(0, 50);
    register_of.wait_for(11); // ten in vain; between them 5 × 50 ms, and 100, 200, 400 and 800 ms
    CHECK(std::chrono::steady_clock::now() - start >= 1750ms);
    licence.set(0);
    CHECK(eventually([] { return forkflow_test::workers_of(::getpid()).size() == 2; }));
    line.put(50, 100);
    line.finish();
    CHECK(line.fault(100) == "");
}

TEST_CASE("A pool whose every new worker fails says so when the last of the old ones is gone") {
    const bounded_test bounds;
    constexpr number count = 60;
    const births register_of(count);
    number_line line(pool_options{.workers = 2,
                                  .worker_init =
                                      [&] {
                                          if (register_of.enroll() >= 2) {
                                              throw std::runtime_error("no licence");
                                          }
                                      }},
                     deadly_body(register_of, [](number message) { return message == 20 || message == 25; }));
    register_of.wait_for(2);
    line.put(0, count);
    line.finish();
    CHECK(line.fault(count, [](number message, const failure& found) {
        return message >= 20 && found.kind == failure_kind::pool_failed &&
               found.what.find("worker_init threw std::runtime_error: no licence") != std::string::npos;
    }) == "");
    CHECK(line.outcomes().back().index() == 1);
}

TEST_CASE("A message that no new worker comes to retry fails, and holds up nobody for ever") {
    const bounded_test bounds;
    constexpr number count = 60;
    const births register_of(count);
    number_line line(pool_options{.workers = 2,
                                  .worker_init =
                                      [&] {
                                          if (register_of.enroll() >= 2) {
                                              throw std::runtime_error("no licence");
                                          }
                                      }},
                     deadly_body(register_of, [](number message) { return message == 20; }));
    register_of.wait_for(2);
    line.put(0, count);
    line.finish();
    CHECK(line.fault(count, [](number message, const failure& found) {
        return message == 20 && found.kind == failure_kind::crashed && found.attempts == 1 &&
               found.what.find("no licence") != std::string::npos;
    }) == "");
    CHECK(line.outcomes()[20].index() == 1);
    line.put(count, count + 1); // the other worker is still there
    line.finish();
    CHECK(line.outcomes()[count].index() == 0);
}

} // namespace worker_init_test
