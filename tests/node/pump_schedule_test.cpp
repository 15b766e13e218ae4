// SPDX-License-Identifier: MIT
// Who runs the pump next, when a run leaves the rest to a task: after whose tasks it comes, and when a run
// may not leave.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/one_thread.hpp"

#include <forkflow/graph/pump_schedule.hpp>

#include <oneapi/tbb/flow_graph.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace pump_schedule_test {

namespace flow = tbb::flow;
using forkflow::graph::pump_schedule;
using forkflow_test::bounded_test;
using runner = pump_schedule::runner;

namespace {

/// In an arena of one thread: a schedule whose pump writes 'p' each time it runs, and a node whose task
/// writes 't'. The first run of the pump calls `first`, and leaves the rest to a task.
struct scene {
    explicit scene(std::function<void(scene&)> first_run)
        : first(std::move(first_run)) {}

    std::string run(std::function<void(scene&)> begin) {
        forkflow_test::with_one_thread([&](flow::graph& g) {
            flow::function_node<int> other(g, flow::serial, [this](int) { order += 't'; });
            pump_schedule pumping(
                g, flow::no_priority, [this](runner) { return pump(); },
                [] { FAIL("no graph is cancelled"); });
            schedule = &pumping;
            task = [&other] { other.try_put(0); };
            begin(*this);
            g.wait_for_all();
        });
        return order;
    }

    bool pump() {
        order += 'p';
        if (order != "p") {
            return true;
        }
        first(*this);
        return false;
    }

    std::function<void(scene&)> first;
    pump_schedule* schedule = nullptr;
    std::function<void()> task; ///< spawns the node's task
    std::string order;
};

/// Somebody asks for the pump, and will sleep.
void rely_on(pump_schedule& schedule) {
    std::thread([&] { schedule.request_and_help(runner::helper); }).join();
}

} // namespace

TEST_CASE("A pump that leaves the rest to a task comes back after what was spawned above that") {
    const bounded_test bounds;
    scene stage([](scene& now) {
        now.schedule->spawn_beneath();
        now.task();
    });
    CHECK(stage.run([](scene& now) { now.schedule->request(); }) == "ptp");
}

TEST_CASE("A request while the pump runs is served by the task to which it leaves the rest") {
    const bounded_test bounds;
    scene stage([](scene& now) {
        now.schedule->spawn_beneath();
        now.task();
        now.schedule->request();
    });
    CHECK(stage.run([](scene& now) { now.schedule->request(); }) == "ptp");
}

TEST_CASE("A pump that leaves the rest to a task has one, also if none was spawned before") {
    const bounded_test bounds;
    scene stage([](scene& now) { now.task(); });
    CHECK(stage.run([](scene& now) { now.schedule->request(); }) == "ppt"); // the newest task is the first
}

TEST_CASE("A run on which somebody relies does not leave the rest to a task") {
    const bounded_test bounds;
    scene stage([](scene& now) {
        now.schedule->spawn_beneath();
        now.task();
        rely_on(*now.schedule);
    });
    const std::string order = stage.run([](scene& now) { now.schedule->request(); });
    CHECK(order.substr(0, 2) == "pp");
}

TEST_CASE("A helper's run on which somebody relies does not leave the rest to a task") {
    const bounded_test bounds;
    std::string while_helping;
    scene stage([](scene& now) { rely_on(*now.schedule); });
    stage.run([&](scene& now) {
        now.schedule->request_and_help(runner::helper);
        while_helping = now.order;
    });
    CHECK(while_helping.substr(0, 2) == "pp");
}

} // namespace pump_schedule_test
