// SPDX-License-Identifier: MIT
// The end of nodes and of applications that have one: in every way, at any moment, by any thread.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace shutdown_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::pool_options;
using forkflow_test::adopts_orphans;
using forkflow_test::bounded_test;
using forkflow_test::child_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::shared_flags;

namespace {

constexpr number workers_count = 2;

/// A node whose workers are busy with messages that do not end, and which has more of them.
class busy_line {
public:
    busy_line()
        : line_(pool_options{.workers = workers_count}, [this](number message) {
            flags_.add(0);
            flags_.wait_for(1);
            return message;
        }) {
        line_.put(0, 50);
        flags_.wait_for(0, workers_count);
    }

private:
    shared_flags flags_{2}; ///< 0: how many bodies run; 1: never set
    number_line line_;
};

} // namespace

// ---------------------------------------------------------------------------------------------------------
// The end of a node

TEST_CASE("An exception that leaves the scope of a node ends the node") {
    const bounded_test bounds;
    const auto leave_by_exception = [](bool with_messages) {
        if (with_messages) {
            const busy_line line;
            throw std::runtime_error("between construction and use");
        }
        const number_line line(pool_options{.workers = workers_count}, itself);
        throw std::runtime_error("between construction and use");
    };
    for (int round = 0; round < 20; ++round) {
        REQUIRE_THROWS_AS(leave_by_exception(false), std::runtime_error);
        REQUIRE_THROWS_AS(leave_by_exception(true), std::runtime_error);
    }
}

TEST_CASE("Graph and node may be destroyed at any moment of a stream") {
    const bounded_test bounds;
    for (number round = 0; round < 100; ++round) {
        number_line line(pool_options{.workers = 3, .window = 4, .recycle_after = 10}, itself);
        line.put(0, 100);
        line.wait_for(round);
    }
}

TEST_CASE("A node lives on when the thread that made it has ended, and any thread may end it") {
    const bounded_test bounds;
    std::unique_ptr<number_line> line;
    for (int round = 0; round < 10; ++round) {
        std::thread([&] {
            line = std::make_unique<number_line>(pool_options{.workers = workers_count, .attempts = 1},
                                                 [](number message) {
                                                     if (message % 50 == 49) { // the replacement lives on too
                                                         ::raise(SIGKILL);
                                                     }
                                                     return message;
                                                 });
        }).join();
        line->put(0, 200);
        line->finish();
        CHECK(line->fault(200, [](number message, const failure& found) {
            return message % 50 == 49 && found.signal == SIGKILL;
        }) == "");
        CHECK(line->statistics().deaths == 4);
        std::thread([&] { line.reset(); }).join();
    }
}

TEST_CASE("A node that one thread made, fed and left busy is ended by another") {
    const bounded_test bounds;
    std::unique_ptr<busy_line> line;
    for (int round = 0; round < 10; ++round) {
        std::thread([&] { line = std::make_unique<busy_line>(); }).join();
        std::thread([&] { line.reset(); }).join();
    }
}

// ---------------------------------------------------------------------------------------------------------
// The end of the application

namespace {

constexpr const char* way_variable = "FORKFLOW_TEST_WAY";
constexpr int exit_status = 7;

/// Lets the kernel kill this process if it has not come to its end in time, wherever it is then.
void end_in_any_case() {
    ::signal(SIGALRM, SIG_DFL); // NOLINT(cert-err33-c)
    ::alarm(forkflow_test::sanitized ? 100 : 30);
}

/// Lets one of oneTBB's threads do something that does not return.
[[noreturn]] void in_task(const std::function<void()>& act) {
    tbb::task_arena arena(2);
    arena.enqueue(act);
    for (;;) {
        ::pause();
    }
}

[[noreturn]] void in_thread(const std::function<void()>& act) {
    std::thread(act).detach();
    for (;;) {
        ::pause();
    }
}

struct way {
    std::function<void()> leave;
    std::vector<int> statuses; ///< as waitpid tells them
};

const std::map<std::string, way>& ways() {
    constexpr int exited = exit_status << 8U;
    constexpr int reported = 1U << 8U; // by a sanitizer, where a crash is none
    static const std::map<std::string, way> all{
        {"exit", {[] { std::exit(exit_status); }, {exited}}},
        {"exit in another thread", {[] { in_thread([] { std::exit(exit_status); }); }, {exited}}},
        // oneTBB's static destructors may crash if one of its own threads runs them, with or without a node.
        {"exit in a task",
         {[] { in_task([] { std::exit(exit_status); }); }, {exited, SIGSEGV, SIGABRT, reported}}},
        {"exit in the main thread's task",
         {[] { tbb::task_arena(2).execute([] { std::exit(exit_status); }); }, {exited}}},
        {"quick_exit", {[] { std::quick_exit(exit_status); }, {exited}}},
        {"quick_exit in a task", {[] { in_task([] { std::quick_exit(exit_status); }); }, {exited}}},
        {"_exit", {[] { ::_exit(exit_status); }, {exited}}},
        {"_exit in another thread", {[] { in_thread([] { ::_exit(exit_status); }); }, {exited}}},
        {"abort", {[] { std::abort(); }, {SIGABRT}}},
        {"abort in a task", {[] { in_task([] { std::abort(); }); }, {SIGABRT}}},
        {"terminate", {[] { std::terminate(); }, {SIGABRT}}},
        {"an exception that a thread does not catch",
         {[] { in_thread([] { throw std::runtime_error("uncaught"); }); }, {SIGABRT}}},
        {"a signal", {[] { ::raise(SIGTERM); }, {SIGTERM}}},
    };
    return all;
}

std::string way_told() {
    const char* const told = std::getenv(way_variable);
    return told == nullptr ? "" : told;
}

} // namespace

TEST_CASE("child: leaves by the way it is told", "[.child]") {
    end_in_any_case();
    ::signal(SIGABRT,
             SIG_DFL); // NOLINT(cert-err33-c): without the report that the test framework makes of it
    ::signal(SIGTERM, SIG_DFL); // NOLINT(cert-err33-c)
    ::signal(SIGSEGV, SIG_DFL); // NOLINT(cert-err33-c)
    const busy_line line;
    ways().at(way_told()).leave();
}

TEST_CASE("However the application ends while messages are in workers, it ends at once and alone") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (const auto& [name, expected] : ways()) {
        ::setenv(way_variable, name.c_str(), 1);
        child_test child("child: leaves by the way it is told");
        CAPTURE(name);
        const int status = child.wait_at_most(20s);
        CAPTURE(status);
        CHECK(std::count(expected.statuses.begin(), expected.statuses.end(), status) == 1);
        CHECK(forkflow_test::all_children_end_within(2s));
    }
    ::unsetenv(way_variable);
}

// ---------------------------------------------------------------------------------------------------------
// Nodes that outlive main

TEST_CASE("child: a static node", "[.child]") {
    end_in_any_case();
    static number_line idle(pool_options{.workers = workers_count}, itself);
    idle.put(0, 100);
    idle.finish();
    CHECK(idle.fault(100) == "");
    if (way_told() == "busy" || way_told() == "exit") {
        static const busy_line busy;
    }
    if (way_told() == "exit") {
        std::exit(exit_status);
    }
}

TEST_CASE("A node in a static object ends with the program, busy or not") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (const char* const state : {"idle", "busy", "exit"}) {
        CAPTURE(state);
        ::setenv(way_variable, state, 1);
        child_test child("child: a static node");
        CHECK(child.wait_at_most(20s) == (std::string(state) == "exit" ? exit_status << 8U : 0));
        CHECK(forkflow_test::all_children_end_within(2s));
    }
    ::unsetenv(way_variable);
}

} // namespace shutdown_test
