// SPDX-License-Identifier: MIT
// What the Python queue offers from which forkflow descends, and the faults that it has and this one must
// not have; as far as the tests of order and of waiting do not show it already.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::comes_true_within;
using forkflow_test::shared_flags;
using forkflow_test::workers_of;

namespace {

using number = std::uint32_t;
using outcome = std::variant<number, failure>;

number itself(number message) {
    return message;
}

} // namespace

TEST_CASE("The body is inherited by fork: closures and what they refer to are welcome") {
    const bounded_test bounds;
    const std::map<std::string, number> table{{"one", 1}, {"two", 2}};
    const shared_flags shared(1);
    number offset = 10;
    forkflow::ordered_process_queue queue(2, [&table, &shared, offset](const std::string& name) {
        shared.add(0);
        return table.at(name) + offset;
    });
    offset = 99;
    REQUIRE(queue.put("two"));
    REQUIRE(queue.put("one"));
    CHECK(queue.get().value() == 12);
    CHECK(queue.get().value() == 11);
    CHECK(shared.get(0) == 2);
}

TEST_CASE("worker_init runs once in each worker, before its first message") {
    const bounded_test bounds;
    const shared_flags calls(1);
    number prepared = 0;
    forkflow::ordered_process_queue queue(pool_options{.workers = 2,
                                                       .worker_init =
                                                           [&] {
                                                               prepared = 7;
                                                               calls.add(0);
                                                           }},
                                          [&prepared](number message) { return message * prepared; });
    for (number message = 0; message < 20; ++message) {
        REQUIRE(queue.put(message));
        CHECK(queue.get().value() == message * 7);
    }
    calls.wait_for(0, 2);
    CHECK(calls.get(0) == 2);
    CHECK(prepared == 0);
}

TEST_CASE("No wakeup is lost when each message waits for the one before, and none is made good by time") {
    const bounded_test bounds;
    for (const auto& options :
         {pool_options{.workers = 1, .window = 1, .requests = 1}, pool_options{.workers = 3}}) {
        forkflow::ordered_process_queue queue(options, itself);
        const auto rounds = static_cast<number>(forkflow_test::scaled_down(3'000));
        for (number round = 0; round < rounds; ++round) {
            REQUIRE(queue.put(round));
            REQUIRE(queue.get().value() == round);
        }
    }
}

TEST_CASE("Neither a death nor an exit nor a kill in a worker loses the message's place") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<number, outcome> queue(pool_options{.workers = 2, .attempts = 1},
                                                           [](number message) {
                                                               switch (message % 4) {
                                                               case 1:
                                                                   std::abort();
                                                               case 2:
                                                                   std::exit(3);
                                                               case 3:
                                                                   ::kill(::getpid(), SIGKILL);
                                                                   break;
                                                               default:
                                                                   break;
                                                               }
                                                               return message;
                                                           });
    for (number message = 0; message < 8; ++message) {
        REQUIRE(queue.put(message));
    }
    queue.stop();
    number next = 0;
    for (const outcome& each : queue) {
        if (next % 4 == 0) {
            CHECK(std::get<number>(each) == next);
        } else {
            CHECK(std::get<failure>(each).kind == failure_kind::crashed);
            CHECK(std::get<failure>(each).signal == (next % 4 == 1 ? SIGABRT : next % 4 == 2 ? 0 : SIGKILL));
            CHECK(std::get<failure>(each).status == (next % 4 == 2 ? 3 : 0));
        }
        ++next;
    }
    CHECK(next == 8);
}

namespace {

/// Its codec refuses odd numbers.
struct even {
    number value = 0;
};

/// Nobody but its worker can do anything with this.
struct unspeakable {
    std::shared_ptr<int> secret = std::make_shared<int>(1);
};

} // namespace

template <>
struct forkflow::codec<even> {
    static void encode(const even& one, writer& to) {
        if (one.value % 2 != 0) {
            throw std::domain_error(std::to_string(one.value) + " is odd");
        }
        forkflow::encode(to, one.value);
    }
    static even decode(reader& from) { return {forkflow::decode<number>(from)}; }
};

TEST_CASE("What cannot be encoded fails in its place, on the way in and on the way out") {
    const bounded_test bounds;
    using even_outcome = std::variant<even, failure>;
    forkflow::ordered_process_queue<even, even_outcome> queue(
        2, [](const even& one) { return even{one.value / 2}; });
    for (number message = 0; message < 5; ++message) {
        REQUIRE(queue.put(even{message}));
    }
    queue.stop();
    std::vector<std::string> said;
    for (const even_outcome& each : queue) {
        const auto* lost = std::get_if<failure>(&each);
        CHECK((lost == nullptr || lost->kind == failure_kind::not_encodable));
        said.push_back(lost != nullptr ? lost->what : std::to_string(std::get<even>(each).value));
    }
    CHECK(said == std::vector<std::string>{"0", "1 is odd", "1 is odd", "3 is odd", "2"});
}

TEST_CASE("An exception that cannot leave its process does not harm who gets") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<number, outcome> queue(
        1, [](number message) -> number { return message == 0 ? throw unspeakable() : message; });
    REQUIRE(queue.put(0));
    REQUIRE(queue.put(1));
    const outcome first = queue.get().value();
    CHECK(std::get<failure>(first).kind == failure_kind::threw);
    CHECK(std::get<failure>(first).exception_type.find("unspeakable") != std::string::npos);
    CHECK(std::get<number>(queue.get().value()) == 1);
}

TEST_CASE("A full output does not block join") {
    const bounded_test bounds;
    forkflow::ordered_process_queue queue(pool_options{.workers = 2, .window = 2, .requests = 2}, itself);
    for (number message = 0; message < 4; ++message) {
        REQUIRE(queue.put(message));
    }
    CHECK_FALSE(queue.try_put(4)); // full at both ends
    queue.stop();
    queue.join();
    number next = 0;
    for (const number& each : queue) {
        CHECK(each == next++);
    }
    CHECK(next == 4);
}

TEST_CASE("Markers pass although no worker ever looks for a message") {
    const bounded_test bounds;
    struct note {
        number value;
    };
    using message = std::variant<number, note>;
    const shared_flags never(1);
    forkflow::ordered_process_queue<message, message> queue(
        pool_options{.workers = 2, .worker_init = [&] { never.wait_for(0); }}, itself);
    for (number value = 0; value < 10; ++value) {
        REQUIRE(queue.put(note{value}));
        CHECK(std::get<note>(queue.get().value()).value == value);
    }
}

TEST_CASE("A message may have a member called timeout, and may be a duration") {
    const bounded_test bounds;
    struct job {
        std::chrono::milliseconds timeout;
    };
    forkflow::ordered_process_queue jobs(1, [](const job& one) { return one.timeout; });
    REQUIRE(jobs.put(job{.timeout = 3h}, 60s));
    CHECK(jobs.get(60s).value() == 3h);
    forkflow::ordered_process_queue durations(1, [](std::chrono::seconds one) { return 2 * one; });
    REQUIRE(durations.put(5h));
    CHECK(durations.get().value() == 10h);
}

TEST_CASE("Callables that the body does not take pass through without being called") {
    const bounded_test bounds;
    using callback = std::function<int()>;
    using message = std::variant<number, callback>;
    forkflow::ordered_process_queue<message, message> queue(1, itself);
    int calls = 0;
    REQUIRE(queue.put(callback([&] { return ++calls; })));
    const message passed = queue.get().value();
    CHECK(calls == 0);
    CHECK(std::get<callback>(passed)() == 1);
}

TEST_CASE("is_alive is about outcomes, not about processes") {
    const bounded_test bounds;
    forkflow::ordered_process_queue queue(1, itself);
    CHECK(queue.is_alive()); // nothing is inside, but something may come
    REQUIRE(queue.put(1));
    CHECK(queue.get().value() == 1);
    const auto before = workers_of(::getpid());
    REQUIRE(before.size() == 1);
    ::kill(before.front(), SIGKILL);
    REQUIRE(comes_true_within(60s, [&] {
        const auto now = workers_of(::getpid());
        return std::ranges::find(now, before.front()) == now.end();
    }));
    CHECK(queue.is_alive());
    REQUIRE(queue.put(2)); // for its successor
    queue.stop();
    CHECK(queue.is_alive());
    CHECK(queue.get().value() == 2);
    CHECK_FALSE(queue.is_alive());
    CHECK_FALSE(workers_of(::getpid()).empty());
}

TEST_CASE("When the fork server is killed, every message fails and nobody waits for ever") {
    const bounded_test bounds;
    const shared_flags never(1);
    forkflow::ordered_process_queue<number, outcome> queue(2, [&](number message) {
        never.wait_for(0);
        return message;
    });
    REQUIRE(queue.put(0));
    CHECK(comes_true_within(60s, [&] { return queue.statistics().running == 1; }));
    const auto servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    std::thread killer([&] { ::kill(servers.front(), SIGKILL); }); // perhaps when the next line sleeps
    CHECK(std::get<failure>(*queue.get()).kind == failure_kind::pool_failed);
    killer.join();
    REQUIRE(queue.put(1));
    CHECK(std::get<failure>(*queue.get()).kind == failure_kind::pool_failed);
    queue.stop();
    queue.join();
    CHECK(queue.get().ended());
}
