// SPDX-License-Identifier: MIT
// Workers that are replaced although nothing is wrong with them, and those that take over after a death.
#include "support/births.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <unistd.h>

namespace recycling_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::pool_options;
using forkflow_test::attempt_record;
using forkflow_test::births;
using forkflow_test::bounded_test;
using forkflow_test::number;
using forkflow_test::number_line;

namespace {

/// Puts messages, a few at a time, until so many workers were recycled. Returns how many messages it took.
number put_until_recycled(number_line& line, std::uint64_t recycled) {
    number next = 0;
    while (line.statistics().recycled < recycled) {
        line.put(next, next + 20);
        next += 20;
        line.finish();
    }
    return next;
}

/// Lets workers be replaced for one reason, and checks that no message suffers from it.
void check_recycling(const pool_options& reason, const number_line::body& work) {
    for (const std::size_t workers : {std::size_t{1}, std::size_t{3}}) {
        CAPTURE(workers);
        const births register_of(1);
        pool_options options = reason;
        options.workers = workers;
        options.attempts = 1;
        options.worker_init = [&] { register_of.enroll(); };
        number_line line(options, work);
        register_of.wait_for(static_cast<number>(workers)); // the first ones are no reliefs
        const number count = put_until_recycled(line, 4);
        CHECK(line.fault(count) == "");
        const forkflow::statistics after = line.statistics();
        CHECK(after.deaths == 0);
        CHECK(after.retries == 0);
        // Each that went had a relief, and one more relief may be on its way.
        CHECK(register_of.born() >= workers + after.recycled);
        CHECK(register_of.born() <= workers + line.statistics().recycled + 1);
    }
}

/// Memory that nobody gives back.
void leak(std::size_t bytes) {
    void* const lost = std::malloc(bytes); // NOLINT(cppcoreguidelines-no-malloc)
    std::memset(lost, 1, bytes);
    static std::vector<void*> all; // so that no checker of leaks complains
    all.push_back(lost);
}

} // namespace

// ---------------------------------------------------------------------------------------------------------
// After a death

TEST_CASE("A message is retried by a worker that began after the death of the one before it") {
    const bounded_test bounds;
    constexpr number count = 300;
    for (const std::size_t workers : {std::size_t{1}, std::size_t{3}}) {
        CAPTURE(workers);
        const births register_of(count);
        number_line line(
            pool_options{.workers = workers, .attempts = 3, .worker_init = [&] { register_of.enroll(); }},
            [&](number message) {
                const number attempt = register_of.begin(message);
                if (message % 10 == 3 && attempt < 2) {
                    ::raise(SIGKILL);
                }
                return message;
            });
        line.put(0, count);
        line.finish();
        CHECK(line.fault(count) == "");
        for (number message = 3; message < count; message += 10) {
            REQUIRE(register_of.attempts(message) == 3);
            for (number again = 1; again < 3; ++again) {
                CAPTURE(message, again);
                const attempt_record before = register_of.attempt(message, again - 1);
                const attempt_record now = register_of.attempt(message, again);
                REQUIRE(now.birth >= before.born_then);
                REQUIRE((workers > 1 || now.earlier == 0)); // it is its first
            }
        }
        CHECK(line.statistics().deaths == 60);
        CHECK(line.statistics().retries == 60);
        CHECK(line.statistics().recycled == 0);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Recycling

TEST_CASE("Workers are replaced after so many messages") {
    const bounded_test bounds;
    check_recycling({.recycle_after = 7}, forkflow_test::itself);
}

TEST_CASE("Workers are replaced after every message") {
    const bounded_test bounds;
    check_recycling({.recycle_after = 1}, forkflow_test::itself);
}

TEST_CASE("Workers are replaced at some age") {
    const bounded_test bounds;
    check_recycling({.recycle_age = 20ms}, forkflow_test::itself);
}

TEST_CASE("Workers whose memory grows are replaced") {
    const bounded_test bounds;
    check_recycling({.recycle_growth_bytes = std::size_t{4} << 20U}, [](number message) {
        leak(std::size_t{64} << 10U);
        return message;
    });
}

TEST_CASE("All reasons for replacing a worker may be given at once") {
    const bounded_test bounds;
    check_recycling({.recycle_after = 50, .recycle_age = 30ms, .recycle_growth_bytes = 1U << 20U},
                    [](number message) {
                        leak(std::size_t{64} << 10U);
                        return message;
                    });
}

TEST_CASE("Memory that the application had before is no growth of its workers") {
    const bounded_test bounds;
    const std::vector<char> large(forkflow_test::scaled_down(std::size_t{100} << 20U, 4), 'x');
    number_line line(pool_options{.workers = 2, .recycle_growth_bytes = std::size_t{16} << 20U},
                     [&](number message) { return message + static_cast<number>(large[message]) - 'x'; });
    const auto end = std::chrono::steady_clock::now() + 100ms; // several looks at the memory
    number next = 0;
    for (; std::chrono::steady_clock::now() < end; next += 20) {
        line.put(next, next + 20);
        line.finish();
    }
    CHECK(line.fault(next) == "");
    CHECK(line.statistics().recycled == 0);
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("A worker goes on until its relief is ready") {
    const bounded_test bounds;
    constexpr number count = 200;
    const births register_of(count);
    number_line line(pool_options{.workers = 1,
                                  .recycle_after = 5,
                                  .worker_init =
                                      [&] {
                                          if (register_of.enroll() > 0) {
                                              register_of.hold();
                                          }
                                      }},
                     [&](number message) {
                         register_of.begin(message);
                         return message;
                     });
    line.put(0, 10);
    register_of.wait_for(2); // the relief is in its worker_init, and stays there
    line.put(10, count);
    line.finish();
    for (number message = 0; message < count; ++message) {
        REQUIRE(register_of.attempt(message, 0).birth == 0);
    }
    CHECK(line.statistics().recycled == 0);
    register_of.release();
    while (line.statistics().recycled == 0) {
        line.put(0, 20); // once more: the register has no room for others
        line.finish();
    }
    CHECK(line.statistics().deaths == 0);
}

TEST_CASE("A relief whose worker_init fails leaves the worker where it is") {
    const bounded_test bounds;
    constexpr number count = 100;
    for (const bool throws : {true, false}) {
        const births register_of(count);
        number_line line(pool_options{.workers = 1,
                                      .attempts = 1,
                                      .recycle_after = 1,
                                      .worker_init =
                                          [&] {
                                              if (register_of.enroll() > 0) {
                                                  throws ? throw std::runtime_error("no licence")
                                                         : ::_exit(3);
                                              }
                                          }},
                         [&](number message) {
                             register_of.begin(message);
                             return message;
                         });
        line.put(0, count / 2);
        register_of.wait_for(8); // more than may die in a row
        line.put(count / 2, count);
        line.finish();
        CHECK(line.fault(count) == "");
        for (number message = 0; message < count; ++message) {
            REQUIRE(register_of.attempt(message, 0).birth == 0);
        }
        CHECK(line.statistics().recycled == 0);
        CHECK(line.statistics().deaths >= 6);
        CHECK(line.statistics().retries == 0);
    }
}

namespace {

/// One worker whose relief is held in its worker_init. Message `deadly` kills the worker that takes it first.
struct relieved_line {
    static constexpr number deadly = 10;
    births register_of{100};
    number_line line{pool_options{.workers = 1,
                                  .recycle_after = 5,
                                  .worker_init =
                                      [this] {
                                          if (register_of.enroll() == 1) {
                                              register_of.hold();
                                          }
                                      }},
                     [this](number message) {
                         if (register_of.begin(message) == 0 && message == deadly) {
                             ::raise(SIGKILL);
                         }
                         return message;
                     }};
    relieved_line() {
        line.put(0, deadly);
        line.finish();
        register_of.wait_for(2);
    }
};

} // namespace

TEST_CASE("When a worker dies while its relief begins, a fresh worker takes its message") {
    const bounded_test bounds;
    relieved_line one;
    one.line.put(one.deadly, one.deadly + 3);
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return one.line.statistics().deaths == 1; }));
    one.register_of.release();
    one.line.finish();
    CHECK(one.line.fault(one.deadly + 3) == "");
    CHECK(one.register_of.attempt(one.deadly, 1).birth == 2);
    CHECK(one.line.statistics().retries == 1);
    CHECK(one.line.statistics().recycled <= 1); // the relief goes, as there is one worker too many
    one.line.put(one.deadly + 3, 50);
    one.line.finish();
    CHECK(one.line.fault(50) == "");
}

TEST_CASE("When a relief dies while it begins, the worker gets another one") {
    const bounded_test bounds;
    relieved_line one;
    ::kill(one.register_of.pid_of(1), SIGKILL);
    one.register_of.wait_for(3);
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return one.line.statistics().recycled == 1; }));
    CHECK(one.line.statistics().deaths == 1);
    one.line.put(one.deadly, 50); // and the message kills the second relief
    one.line.finish();
    CHECK(one.line.fault(50) == "");
    CHECK(one.line.statistics().retries == 1);
}

TEST_CASE("When worker and relief die at once, the pool goes on with others") {
    const bounded_test bounds;
    for (int round = 0; round < 5; ++round) {
        relieved_line one;
        const bool worker_first = round % 2 == 0;
        ::kill(one.register_of.pid_of(worker_first ? 0 : 1), SIGKILL);
        ::kill(one.register_of.pid_of(worker_first ? 1 : 0), SIGKILL);
        one.line.put(one.deadly, 50);
        one.line.finish();
        CHECK(one.line.fault(50) == "");
        CHECK(one.line.statistics().deaths == 3); // these, and that of the message
    }
}

// The relief already waits, with a later result, for that very message, so it may not inherit it.
TEST_CASE("A message whose worker dies when its relief is ahead of it is retried all the same") {
    const bounded_test bounds;
    const births register_of(10);
    number_line line(pool_options{.workers = 1,
                                  .window = 1,
                                  .requests = 4,
                                  .recycle_after = 1,
                                  .worker_init = [&] { register_of.enroll(); }},
                     [&](number message) {
                         if (register_of.begin(message) == 0 && message == 1) {
                             register_of.hold();
                             ::raise(SIGKILL);
                         }
                         return message;
                     });
    line.put(0, 4); // the first asks for a relief, which takes the third while the second is held
    REQUIRE(forkflow_test::comes_true_within(30s, [&] { return register_of.attempts(2) == 1; }));
    register_of.release();
    line.finish();
    CHECK(line.fault(4) == "");
}

} // namespace recycling_test
