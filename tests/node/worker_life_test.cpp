// SPDX-License-Identifier: MIT
// The life of workers as a node's user sees it: initialised, replaced, given a deadline.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace worker_life_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;
using outcome = std::variant<number, failure>;

template <class Input, class Output>
using node_of = forkflow::ordered_process_node<Input, Output>;

number twice(number message) {
    return 2 * message;
}

} // namespace

TEST_CASE("A worker is replaced after so many messages, and no message suffers") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    node_of<number, int> node(graph, pool_options{.workers = 2, .recycle_after = 5},
                              [](number /*message*/) { return static_cast<int>(::getpid()); });
    const recorder<int> results(graph, node);
    number count = 0;
    while (node.statistics().recycled < 6) { // a worker goes on while its replacement comes into being
        for (int message = 0; message < 50; ++message) {
            node.try_put(count++);
        }
        graph.wait_for_all();
    }
    const std::vector<int> all = results.values();
    REQUIRE(all.size() == count);
    CHECK(std::set<int>(all.begin(), all.end()).size() >= 2);
    CHECK(node.statistics().deaths == 0);
    CHECK(node.statistics().retries == 0);
}

namespace {

enum class habit : std::uint8_t { answers, loops, stops_itself };

number obey(std::pair<habit, number> order) {
    switch (order.first) {
    case habit::answers:
        break;
    case habit::loops:
        for (volatile bool forever = true; forever;) {
        }
        break;
    case habit::stops_itself:
        ::raise(SIGSTOP);
        break;
    }
    return order.second;
}

/// One message of bad habits among good ones: it alone runs out of time.
void check_deadline(habit bad, unsigned attempts) {
    using order = std::pair<habit, number>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<order, outcome> node(
        graph, pool_options{.workers = 2, .deadline = 200ms, .attempts = attempts}, obey);
    const recorder<outcome> results(graph, node);
    constexpr number place = 20;
    constexpr number count = 60;
    for (number message = 0; message < count; ++message) {
        node.try_put({message == place ? bad : habit::answers, message});
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == count);
    for (number message = 0; message < count; ++message) {
        CAPTURE(message);
        if (message != place) {
            REQUIRE(std::holds_alternative<number>(all[message]));
            REQUIRE(std::get<number>(all[message]) == message);
        }
    }
    const failure& found = std::get<failure>(all[place]);
    INFO(found);
    CHECK(found.kind == failure_kind::timed_out);
    CHECK(found.attempts == attempts);
    CHECK(found.signal == SIGKILL);
    CHECK(found.sequence == place);
    CHECK(found.pid > 0);
    CHECK(node.statistics().deaths == attempts);
}

} // namespace

TEST_CASE("A body that does not end runs out of time, and its neighbours are innocent") {
    const bounded_test bounds;
    check_deadline(habit::loops, 1);
    check_deadline(habit::loops, 2);
}

TEST_CASE("A body that stops its own process runs out of time, and its neighbours are innocent") {
    const bounded_test bounds;
    check_deadline(habit::stops_itself, 1);
    check_deadline(habit::stops_itself, 2);
}

namespace {

/// A process that a body or a test forked; it ends at the latest with this, and in a minute if we do not.
class forked_process {
public:
    /// Forks one that does nothing.
    static ::pid_t start() {
        const ::pid_t pid = ::fork();
        if (pid == 0) {
            for (::alarm(60);;) {
                ::pause();
            }
        }
        return pid;
    }
    explicit forked_process(::pid_t pid)
        : pid_(pid) {}
    ~forked_process() {
        if (!reaped_ && pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    forked_process(const forked_process&) = delete;
    forked_process& operator=(const forked_process&) = delete;

    [[nodiscard]] ::pid_t pid() const { return pid_; }
    /// It is a child of ours and dead; with what status it ended is then known.
    [[nodiscard]] bool has_ended() {
        reaped_ = reaped_ || ::waitpid(pid_, &status_, WNOHANG) == pid_;
        return reaped_;
    }
    [[nodiscard]] bool was_killed() const { return WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL; }

private:
    const ::pid_t pid_;
    bool reaped_ = false;
    int status_ = 0;
};

} // namespace

TEST_CASE("A deadline ends what the body has forked too, and nothing else of the application") {
    const bounded_test bounds;
    const forkflow_test::adopts_orphans adopting; // so that we see how it ends
    const shared_flags forked(3);                 // how many, and which
    forked_process neighbour(forked_process::start());
    REQUIRE(neighbour.pid() > 0);
    constexpr number place = 5;
    constexpr number count = 20;
    constexpr unsigned attempts = 2;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(
        graph, pool_options{.workers = 2, .deadline = 500ms, .attempts = attempts}, [&](number message) {
            if (message == place) {
                const ::pid_t child = forked_process::start();
                forked.set(1 + forked.add(0), static_cast<std::uint32_t>(child));
                for (;;) {
                    ::pause();
                }
            }
            return message;
        });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < count; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    REQUIRE(forked.get(0) == attempts);
    for (unsigned i = 1; i <= attempts; ++i) {
        forked_process grandchild(static_cast<::pid_t>(forked.get(i)));
        REQUIRE(grandchild.pid() > 0);
        CHECK(forkflow_test::comes_true_within(10s, [&] { return grandchild.has_ended(); }));
        CHECK(grandchild.was_killed());
    }
    CHECK_FALSE(neighbour.has_ended());
    std::vector<outcome> all = results.values();
    REQUIRE(all.size() == count);
    CHECK(std::get<failure>(all[place]).kind == failure_kind::timed_out);
    all.erase(all.begin() + place);
    CHECK(std::all_of(all.begin(), all.end(), [](const outcome& one) { return one.index() == 0; }));
    CHECK(node.statistics().deaths == attempts);
    CHECK(node.try_put(place + 1)); // the node goes on
    graph.wait_for_all();
    CHECK(std::get<number>(results.values().back()) == place + 1);
}

TEST_CASE("Waiting for admission is not the body's time") {
    const bounded_test bounds;
    const shared_flags flags(2);
    tbb::flow::graph graph;
    // Message 0 may take as long as it likes in each of its attempts, but then it is over.
    forkflow::ordered_process_node<number, outcome> node(
        graph, pool_options{.workers = 2, .window = 1, .requests = 4, .deadline = 300ms, .attempts = 3},
        [&](number message) {
            if (message == 0 && flags.add(0) < 2) { // twice killed for it, then it answers
                flags.wait_for(1);
            }
            return message;
        });
    const recorder<outcome> results(graph, node);
    for (number message = 0; message < 4; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all(); // meanwhile message 1 waited in the other worker for twice the deadline
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 4);
    for (number message = 0; message < 4; ++message) {
        CHECK(std::get<number>(all[message]) == message);
    }
    CHECK(node.statistics().deaths == 2);
}

TEST_CASE("A worker_init that throws fails the pool with its text instead of letting anybody wait") {
    const bounded_test bounds;
    const auto broken = [] { throw std::runtime_error("the model file is missing"); };
    {
        tbb::flow::graph graph;
        forkflow::ordered_process_node<number, outcome> node(
            graph, pool_options{.workers = 2, .worker_init = broken}, twice);
        const recorder<outcome> results(graph, node);
        for (number message = 0; message < 10; ++message) {
            node.try_put(message);
        }
        graph.wait_for_all();
        const std::vector<outcome> all = results.values();
        REQUIRE(all.size() == 10);
        for (number message = 0; message < 10; ++message) {
            const failure& found = std::get<failure>(all[message]);
            CHECK(found.kind == failure_kind::pool_failed);
            CHECK(found.sequence == message);
            CHECK(found.what.find("the model file is missing") != std::string::npos);
        }
        node.try_put(10); // later messages fail at once
        graph.wait_for_all();
        CHECK(std::get<failure>(results.values().back()).kind == failure_kind::pool_failed);
    }
    {
        tbb::flow::graph graph;
        node_of<number, number> node(graph, pool_options{.workers = 1, .worker_init = broken}, twice);
        node.try_put(1);
        const std::optional<forkflow::failure> thrown = forkflow_test::failure_of(graph);
        REQUIRE(thrown);
        CHECK(thrown->kind == failure_kind::pool_failed);
        CHECK(thrown->what.find("the model file is missing") != std::string::npos);
    }
}

TEST_CASE("A worker_init that ends its process fails the pool") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<number, outcome> node(
        graph, pool_options{.workers = 2, .worker_init = [] { ::_exit(9); }}, twice);
    const recorder<outcome> results(graph, node);
    node.try_put(1);
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 1);
    CHECK(std::get<failure>(all[0]).kind == failure_kind::pool_failed);
    CHECK(std::get<failure>(all[0]).what.find("status 9") != std::string::npos);
}

TEST_CASE("worker_init runs once in each worker, before its first message") {
    const bounded_test bounds;
    const shared_flags calls(1);
    int prepared = 0;
    tbb::flow::graph graph;
    node_of<number, int> node(graph,
                              pool_options{.workers = 3,
                                           .worker_init =
                                               [&] {
                                                   ++prepared;
                                                   calls.add(0);
                                               }},
                              [&](number /*message*/) { return prepared; });
    const recorder<int> results(graph, node);
    for (number message = 0; message < 100; ++message) {
        node.try_put(message);
    }
    graph.wait_for_all();
    calls.wait_for(0, 3);
    CHECK(results.values() == std::vector<int>(100, 1));
    CHECK(calls.get(0) == 3);
    CHECK(prepared == 0);
}

} // namespace worker_life_test
