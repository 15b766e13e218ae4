// SPDX-License-Identifier: MIT
// A node in which nothing is sleeps as a whole; and a message that comes into it: who waits for its outcome,
// and who need not be woken.
#include "fuzz/counted_memory.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/task_arena.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <unistd.h>

namespace idle_node_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

using number = std::uint32_t;
using node_of_numbers = forkflow::ordered_process_node<number, number>;

/// No outcome is late.
constexpr auto for_ever = 1h;

/// How often the threads of a process have left a processor, but for the calling one; nothing if one of them
/// is on one.
std::optional<std::uint64_t> rests_in(::pid_t process) {
    std::uint64_t rests = 0;
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", gone)) {
        if (const std::string tid = thread.path().filename(); tid != std::to_string(::gettid())) {
            if (!forkflow_test::is_asleep(std::stoi(tid))) {
                return std::nullopt;
            }
            rests += forkflow_test::field_of(thread.path() / "status", "voluntary_ctxt_switches:") +
                     forkflow_test::field_of(thread.path() / "status", "nonvoluntary_ctxt_switches:");
        }
    }
    return rests;
}

/// The same of this program, its fork servers and its workers.
std::optional<std::uint64_t> rests_of_all() {
    std::optional<std::uint64_t> rests = rests_in(::getpid());
    for (const forkflow_test::process& each : forkflow_test::descendants_of(::getpid())) {
        const std::optional<std::uint64_t> of_one = rests_in(each.pid);
        rests = rests && of_one ? std::optional(*rests + *of_one) : std::nullopt;
    }
    return rests;
}

/// How often threads of this program went to sleep, but for the calling one and the supervisor, which has its
/// own business now and then.
std::uint64_t sleeps_of_others() {
    std::uint64_t sleeps = 0;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::ifstream(thread.path() / "comm") >> name;
        if (thread.path().filename() != std::to_string(::gettid()) && name != "ff-supervisor") {
            sleeps += forkflow_test::field_of(thread.path() / "status", "voluntary_ctxt_switches:");
        }
    }
    return sleeps;
}

} // namespace

TEST_CASE("An idle node sleeps: no thread, fork server or worker of it is woken") {
    const bounded_test bounds;
    const std::chrono::milliseconds deadline = GENERATE(0ms, 20ms);
    tbb::flow::graph graph;
    forkflow::fork_server server;
    node_of_numbers forked(graph, pool_options{.workers = 3, .deadline = deadline},
                           [](number message) { return message; });
    node_of_numbers launched(graph, pool_options{.workers = 2, .deadline = deadline, .server = &server},
                             [](number message) { return message; });
    make_edge(forked, launched);
    const recorder<number> results(graph, launched);
    for (number next = 0; next < 100; ++next) {
        forked.try_put(next);
    }
    graph.wait_for_all();
    REQUIRE(results.size() == 100);
    // The period is what is observed; oneTBB's own threads may take a while to come to rest.
    CHECK(forkflow_test::comes_true_within(60s, [] {
        const std::optional<std::uint64_t> before = rests_of_all();
        std::this_thread::sleep_for(1500ms);
        return before && rests_of_all() == before;
    }));
}

TEST_CASE("The outcome of a single message wakes no thread but the one that waits for the graph") {
    const bounded_test bounds;
    tbb::task_arena one_thread(1);
    one_thread.execute([] {
        tbb::flow::graph graph;
        node_of_numbers node(graph, pool_options{.workers = 1, .spin = for_ever, .testing = {.looks = false}},
                             [](number message) { return message; });
        const recorder<number> results(graph, node);
        auto send = [&, next = number{0}](number count) mutable {
            for (; count > 0; --count) {
                node.try_put(next++);
                graph.wait_for_all();
                REQUIRE(results.size() == next);
            }
        };
        send(1); // the worker is there
        const std::uint64_t before = sleeps_of_others();
        send(200);
        CHECK(sleeps_of_others() - before < 100); // else at least one for each message
    });
}

TEST_CASE("The only thread of a graph does not wait for outcomes while it has other tasks") {
    const bounded_test bounds;
    const shared_flags flags(1); // released
    tbb::task_arena one_thread(1);
    one_thread.execute([&] {
        tbb::flow::graph graph;
        node_of_numbers node(graph, pool_options{.workers = 2, .spin = for_ever}, [&](number message) {
            flags.wait_for(0);
            return message;
        });
        const recorder<number> results(graph, node);
        tbb::flow::function_node<number> release(graph, tbb::flow::serial, [&](number) { flags.set(0); });
        release.try_put(0); // its task is older than the node's, which therefore comes first
        node.try_put(0);
        node.try_put(1);
        graph.wait_for_all();
        CHECK(results.values() == std::vector<number>{0, 1});
    });
}

TEST_CASE("A message is not lost if there is no memory for the task that waits for its outcome") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    node_of_numbers node(graph, pool_options{.workers = 1, .testing = {.looks = false}},
                         [](number message) { return message; });
    const recorder<number> results(graph, node);
    for (number message = 0; message < 100; ++message) {
        {
            const forkflow_fuzz::memory_budget none(0);
            CHECK(node.try_put(message));
        }
        graph.wait_for_all();
        REQUIRE(results.size() == message + 1);
    }
}

TEST_CASE("Nodes are destroyed at once right after they were given messages that do not end") {
    const bounded_test bounds;
    for (const int threads : {1, 2}) {
        tbb::task_arena arena(threads);
        arena.execute([] {
            tbb::flow::graph graph;
            const auto endless = [](number message) {
                while (true) {
                    ::pause();
                }
                return message;
            };
            node_of_numbers one(graph, 1, endless);
            node_of_numbers other(graph, 1, endless);
            one.try_put(1);
            other.try_put(1); // which must not wait for the first, as the graph does
        });
    }
}

} // namespace idle_node_test
