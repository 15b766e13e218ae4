// SPDX-License-Identifier: MIT
// The watch on deadlines, without a supervisor: how often it looks.
#include "support/catch.hpp"
#include "support/half_pool.hpp"

#include <forkflow/nodes/deadline_watch.hpp>
#include <forkflow/nodes/monotonic_clock.hpp>

#include <chrono>
#include <cstdint>
#include <thread>

namespace deadline_watch_test {

using namespace std::chrono_literals;
using namespace forkflow::nodes;
using forkflow_test::half_pool;

namespace {

constexpr std::chrono::nanoseconds deadline = 2ms;

struct counting_host final : worker_host {
    void start(std::uint32_t /*seat*/, std::uint32_t /*incarnation*/) override {}
    void kill(std::uint32_t /*seat*/, std::uint32_t /*incarnation*/) override { ++kills; }
    void close() override {}
    void interrupt() override { ++interrupts; }
    host_event next_event(std::int64_t /*patience_ns*/) override { return {}; }

    int kills = 0;
    int interrupts = 0;
};

struct watched_pool : half_pool {
    watched_pool()
        : half_pool(4, 8, 0) {
        for (int incarnation = 1; incarnation <= 3; ++incarnation) { // the third is who claims
            seats.take(1);
        }
    }
    void commit(sequence number) {
        REQUIRE(requests.try_reserve(message_kind::request) == number);
        requests.commit_request(number, 0);
        watch.message_committed();
    }
    /// Sleeps between looks as the supervisor does, for so long. Returns how often it looked.
    int looks_within(std::chrono::nanoseconds time) {
        int looks = 0;
        for (const std::int64_t end = monotonic_ns() + time.count(); monotonic_ns() < end; ++looks) {
            const std::int64_t patience = watch.look();
            REQUIRE(patience > 0);
            std::this_thread::sleep_for(std::chrono::nanoseconds(patience));
        }
        return looks;
    }

    counting_host host;
    deadline_watch watch{shared, deadline, requests, window, seats, host};
};

} // namespace

TEST_CASE(
    "A message that has only to leave is looked after more and more seldom, and so is the parent rung") {
    watched_pool tested;
    tested.commit(0);
    tested.claim(0);
    tested.publish(0);
    const std::uint32_t rings = tested.rings();
    CHECK(tested.looks_within(200 * deadline) < 20);
    CHECK(tested.rings() > rings); // it may not have heard
    CHECK(tested.rings() < rings + 20);
    CHECK(tested.host.kills == 0);
}

TEST_CASE("What comes in behind a message that has only to leave is watched from its commit on") {
    watched_pool tested;
    tested.commit(0);
    tested.claim(0);
    tested.publish(0);
    tested.looks_within(50 * deadline);
    REQUIRE(tested.watch.look() > deadline.count());
    tested.commit(1);
    CHECK(tested.host.interrupts == 1); // the supervisor sleeps too long for it
    tested.claim(1);
    tested.shared.seat(1).running_since_ns.store(monotonic_ns());
    const std::uint32_t rings = tested.rings();
    CHECK(tested.watch.look() <= deadline.count());
    tested.looks_within(3 * deadline);
    CHECK(tested.host.kills == 1);
    CHECK(tested.word(1).state == message_state::condemned);
    CHECK(tested.rings() <= rings + 1); // who does not take the first is not asked more often for that
}

} // namespace deadline_watch_test
