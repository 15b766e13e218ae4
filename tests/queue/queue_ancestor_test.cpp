// SPDX-License-Identifier: MIT
// What the Python queue offers from which forkflow descends, and the faults that it has and this one must
// not have; as far as other tests do not show it already.
//
//   it offers                             shown by
//   a callable and its arguments          call_test: all
//   one task, inherited by fork           "The body is inherited by fork ..."
//   markers in their place                queue_order_test: "Markers keep their place among messages"
//   get throws, with the worker's stack   queue_order_test: "A failure that Output cannot hold ..."
//   put is refused, no number used up     "A message that is refused is untouched, ..."; queue_waiting_test
//   stop, join, is_alive                  queue_waiting_test; "is_alive is about outcomes, ..."
//   a window of 10 x workers              "The window is ten messages for each worker ..."
//   numbers that wrap                     queue_order_test: "Sequences that wrap keep the order"
//   worker_init_f                         "worker_init runs once in each worker, ..."
//   no process outlives the program       "A program that is killed leaves no workers of its queue behind"
//   arguments that are rejected           "Options that are out of range are refused by name"
//
//   its faults                            shown to be none by
//   a lost wakeup                         "No wakeup is lost ..."
//   a death or an exit loses a number     "Neither a death nor an exit nor a kill ..."
//   what is not picklable is dropped      "What cannot be encoded fails in its place, ..."
//   exceptions that cannot be rebuilt     "An exception that cannot leave its process ..."
//   a full output blocks join             "A full output does not block join"
//   no end of the stream                  queue_waiting_test: "After stop, ..."
//   markers go through a worker           "Markers pass although no worker ever looks for a message"
//   put and get are not thread-safe       queue_order_test: "Many threads put and get at once: ..."
//   no argument can be called timeout     "A message may have a member called timeout, ..."; call_test
//   callables never pass through          "Callables that the body does not take pass through ..."
//   is_alive while any process lives      "is_alive is about outcomes, not about processes"
//   the size is always 0                  queue_waiting_test: "The statistics of a queue add up"
#include "support/catch.hpp"
#include "support/child_case.hpp"
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
#include <utility>
#include <variant>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace queue_ancestor_test {

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
    for (auto options :
         {pool_options{.workers = 1, .window = 1, .requests = 1}, pool_options{.workers = 3}}) {
        options.testing.looks = false; // else the pool would make good what was lost, after a second
        forkflow::ordered_process_queue queue(options, itself);
        const auto rounds = static_cast<number>(forkflow_test::scaled_down(1'000));
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

} // namespace queue_ancestor_test

template <>
struct forkflow::codec<queue_ancestor_test::even> {
    static void encode(const queue_ancestor_test::even& one, writer& to) {
        if (one.value % 2 != 0) {
            throw std::domain_error(std::to_string(one.value) + " is odd");
        }
        forkflow::encode(to, one.value);
    }
    static queue_ancestor_test::even decode(reader& from) {
        return {forkflow::decode<queue_ancestor_test::number>(from)};
    }
};

namespace queue_ancestor_test {

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

TEST_CASE("The window is ten messages for each worker unless said otherwise, and as many may wait") {
    const bounded_test bounds;
    for (const std::size_t workers : {1U, 3U}) {
        forkflow::ordered_process_queue queue(workers, itself);
        CHECK(queue.statistics().window == 10 * workers);
        CHECK(queue.statistics().requests == 10 * workers);
        for (number message = 0; message < 20 * workers; ++message) {
            REQUIRE(queue.put(message));
        }
        CHECK_FALSE(queue.try_put(0));
    }
}

TEST_CASE("A message that is refused is untouched, and uses up no number") {
    const bounded_test bounds;
    const shared_flags released(1);
    struct note {
        std::shared_ptr<int> owner;
    };
    using message = std::variant<number, note>;
    using result = std::variant<number, note, failure>;
    forkflow::ordered_process_queue<message, result> queue(
        pool_options{.workers = 1, .window = 1, .requests = 1}, [&](number given) -> number {
            released.wait_for(0);
            throw std::runtime_error(std::to_string(given));
        });
    const message marker = note{std::make_shared<int>(5)};
    REQUIRE(queue.put(0U));
    REQUIRE(queue.put(note{})); // there is a place for one request and one marker
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(queue.try_put(marker));
        CHECK_FALSE(queue.try_put(1U));
    }
    CHECK_FALSE(queue.put(marker, 1ms));
    CHECK(std::get<note>(marker).owner.use_count() == 1);
    released.set(0);
    CHECK(std::get<failure>(*queue.get()).sequence == 0);
    CHECK(std::holds_alternative<note>(*queue.get()));
    REQUIRE(queue.put(2U));
    CHECK(std::get<failure>(*queue.get()).sequence == 2);
}

TEST_CASE("Messages and outcomes that can only be moved pass through") {
    const bounded_test bounds;
    using text = std::unique_ptr<std::string>;
    forkflow::ordered_process_queue<text, std::vector<text>> queue(2, [](text given) {
        std::vector<text> both;
        both.push_back(std::make_unique<std::string>(*given + "!"));
        both.push_back(std::move(given));
        return both;
    });
    for (const char* each : {"one", "two"}) {
        REQUIRE(queue.put(std::make_unique<std::string>(each)));
    }
    queue.stop();
    std::string all;
    for (const std::vector<text>& outcome : queue) {
        all += *outcome.at(0) + *outcome.at(1);
    }
    CHECK(all == "one!onetwo!two");
}

TEST_CASE("Options that are out of range are refused by name") {
    const bounded_test bounds;
    const auto refusal_of = [](pool_options options) -> std::string {
        try {
            const forkflow::ordered_process_queue queue(std::move(options), itself);
        } catch (const std::invalid_argument& refused) {
            return refused.what();
        }
        return "taken";
    };
    const std::pair<const char*, pool_options> wrong[] = {
        {"workers is 5000", {.workers = 5'000}},
        {"window is 2000000", {.window = 2'000'000}},
        {"requests is 2000000", {.requests = 2'000'000}},
        {"attempts is 0", {.attempts = 0}},
        {"deadline is -1 ns", {.deadline = std::chrono::nanoseconds(-1)}},
    };
    for (const auto& [said, options] : wrong) {
        INFO(said);
        CHECK(refusal_of(options).find(std::string("pool_options::") + said) != std::string::npos);
        CHECK(refusal_of(options).find("must be") != std::string::npos);
    }
    CHECK(refusal_of({.workers = 1}) == "taken");
}

TEST_CASE("child: a queue at work", "[.child]") {
    const forkflow_test::watchdog limit(100s);
    const shared_flags flags(2); // 0: how many bodies run; 1: never set
    forkflow::ordered_process_queue queue(pool_options{.workers = 2, .window = 1, .requests = 2},
                                          [&](number message) {
                                              flags.add(0);
                                              flags.wait_for(1);
                                              return message;
                                          });
    const std::thread putter([&] {
        for (number message = 0;; ++message) {
            queue.put(message);
        }
    });
    flags.wait_for(0, 2);
    forkflow_test::announce_readiness();
    (void)queue.get(); // for ever
}

TEST_CASE("A program that is killed leaves no workers of its queue behind") {
    const bounded_test bounds;
    const forkflow_test::adopts_orphans adopting;
    forkflow_test::child_test child("child: a queue at work");
    REQUIRE(child.becomes_ready());
    REQUIRE(forkflow_test::descendants_of(child.pid()).size() == 3);
    ::kill(child.pid(), SIGKILL);
    CHECK(WTERMSIG(child.wait()) == SIGKILL);
    CHECK(forkflow_test::all_children_end_within(30s));
}

} // namespace queue_ancestor_test
