// SPDX-License-Identifier: MIT
// Runs a node's pump: one at a time, as a task of the graph or in a thread that helps; and tells if a
// cancelled graph swallowed the task.
#pragma once

#include <forkflow/graph/alarms.hpp>
#include <forkflow/graph/arena_wait.hpp>
#include <forkflow/graph/wait_hold.hpp>

#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace forkflow::graph {

/// `request` may be called from any thread, also one that oneTBB does not know. After each request `pump`
/// runs at least once, never twice at the same time. Exceptions of `pump` cancel the graph and reach
/// wait_for_all.
///
/// The task is that of an inner public node, so it runs in the graph's arena and context; its message owns a
/// witness. If the task is dropped because the graph was cancelled, the witness dies without having been
/// heard, and `swallowed` is called instead.
///
/// One word holds all: whether a task is due, whether somebody runs the pump, whether a task was swallowed or
/// somebody relied on that run meanwhile, and how many requests there were. Beside it the witnesses are
/// counted, as a destructor has to know when no task refers to this any more: due() ends a little earlier.
class pump_schedule {
public:
    /// How the pump runs: as a task of the graph, which may leave the rest to one that waits already; in a
    /// thread that has come for something else, until nothing is left to do; or until a thread that helps may
    /// go.
    enum class runner { task, guest, helper };
    /// `pump` returns true if it left nothing to do. If not, a task does the rest; but it is called again if
    /// somebody has relied on this run meanwhile.
    using pump_function = std::function<bool(runner)>;

    pump_schedule(tbb::flow::graph& owner, tbb::flow::node_priority_t priority, pump_function pump,
                  std::function<void()> swallowed)
        : graph_(owner)
        , pump_(std::move(pump))
        , swallowed_(std::move(swallowed))
        // Unlimited, as a serial node would never work again after a cancelled task; the word sees to one at
        // a time.
        , runner_(
              owner, tbb::flow::unlimited,
              [this](const token& run) {
                  run->heard = true;
                  if (run->error) {
                      std::rethrow_exception(run->error);
                  }
                  run_task();
                  return tbb::flow::continue_msg();
              },
              priority) {}

    void request() {
        // Who runs sees the request; a task that is due will.
        const word seen = change(
            [](word now) { return now + one_request + ((now & (task_due | running)) == 0 ? task_due : 0); });
        if ((seen & (task_due | running)) == 0) {
            spawn();
        }
    }

    /// A request for which there will be a task, also if a helper runs the pump: while the graph is
    /// cancelled, it is swallowed.
    void request_task() {
        const word seen = change([](word now) { return (now + one_request) | task_due; });
        if ((seen & task_due) == 0) {
            spawn();
        }
    }

    /// For a pump that runs as a task, before it calls what may spawn tasks in this thread: there will be a
    /// task of the pump that lies beneath them. oneTBB's threads take their newest task first, so if the pump
    /// leaves the rest to it then, its thread sees to those before it comes back. No request: who runs need
    /// not look again. Without memory there is none.
    void spawn_beneath() noexcept {
        const word seen = change([](word now) { return now | task_due; });
        if ((seen & task_due) == 0) {
            try {
                spawn();
            } catch (...) { // who runs goes on, then
            }
        }
    }

    /// A request, if somebody runs the pump and so sees it. False: nobody does.
    [[nodiscard]] bool request_of_runner() {
        return (change([](word now) { return (now & running) != 0 ? now + one_request : now; }) & running) !=
               0;
    }

    /// A request that this thread serves itself, unless somebody is at it: then that one does, and leaves
    /// nothing to a task. The graph must be held. Exceptions of the pump go to the graph, as if it had run
    /// there.
    void request_and_help(runner as) {
        const word seen = change(
            [](word now) { return (now + one_request) | ((now & running) != 0 ? relied_on : running); });
        if ((seen & running) != 0) {
            return;
        }
        try {
            run(as);
        } catch (...) {
            runner_.try_put(std::make_shared<witness>(*this, std::current_exception()));
        }
    }

    /// True in a thread that runs the pump, or what the pump calls.
    [[nodiscard]] bool running_here() const noexcept {
        return runner_thread_.load() == std::this_thread::get_id();
    }

    /// True if somebody runs the pump, or a task has been spawned for which there is something to do.
    [[nodiscard]] bool due() const noexcept {
        const word now = state_.load();
        return (now & running) != 0 || ((now & task_due) != 0 && (now & ~flags) != 0);
    }

    /// Waits until no task refers to this any more, and runs what tasks there are meanwhile. A task that this
    /// thread cannot come by, and nobody else does, is waited for with all of the graph. An exception of the
    /// graph ends here: for destructors.
    void wait_for_tasks() noexcept {
        try {
            if (arena_wait::possible()) {
                run_tasks();
            }
        } catch (...) { // no thread for the deadline, or no stack
        }
        try {
            if (has_tasks()) {
                graph_.wait_for_all();
            }
        } catch (...) { // whoever destroys a node of a busy graph does not ask for its exceptions
        }
        const std::scoped_lock lock(leaving_); // the last that went has let go of it
    }

    /// For tracing tools: the name of what runs in the graph.
    void name_task(const char* name) const { set_name(runner_, name); }

private:
    using word = std::uint64_t;
    static constexpr word task_due = 1;      ///< a task has been spawned and has not begun
    static constexpr word running = 2;       ///< somebody runs the pump, and sees requests
    static constexpr word was_swallowed = 4; ///< for who runs: to be dealt with at the end
    static constexpr word relied_on = 8;     ///< for who runs: somebody sleeps who could do it else
    static constexpr word one_request = 16;  ///< all higher bits count requests
    static constexpr word flags = one_request - 1;

    static constexpr std::chrono::milliseconds longest_search{100};

    struct witness {
        explicit witness(pump_schedule& of, std::exception_ptr thrown = nullptr)
            : schedule(of)
            , error(std::move(thrown)) {
            schedule.witness_came();
        }
        witness(const witness&) = delete;
        witness& operator=(const witness&) = delete;
        ~witness() {
            if (!heard && !error) {
                schedule.task_swallowed();
            }
            schedule.witness_went();
        }
        pump_schedule& schedule;
        std::exception_ptr error; ///< thrown in a helper, to be thrown in the graph
        bool heard = false;
    };
    using token = std::shared_ptr<witness>;

    /// Returns what was before.
    template <class Change>
    word change(Change next) {
        word seen = state_.load();
        while (!state_.compare_exchange_weak(seen, next(seen))) {
        }
        return seen;
    }

    static bool same_requests(word a, word b) noexcept { return (a & ~flags) == (b & ~flags); }

    void spawn() {
        token run;
        try {
            run = std::make_shared<witness>(*this);
            runner_.try_put(run);
        } catch (...) {
            if (run) {
                run->heard = true; // there is no task that could be swallowed
            }
            change([](word now) { return now & ~task_due; });
            throw;
        }
    }

    void witness_came() {
        const std::scoped_lock lock(leaving_);
        ++witnesses_;
    }
    /// The last that is done with this object in a task's life: oneTBB destroys the task's message at its
    /// end.
    void witness_went() {
        const std::scoped_lock lock(leaving_);
        if (--witnesses_ == 0 && leaver_ != nullptr) {
            leaver_->release();
        }
    }
    [[nodiscard]] bool has_tasks() {
        const std::scoped_lock lock(leaving_);
        return witnesses_ > 0;
    }

    /// Until there is no task of ours; but not for long, as they may be in another arena.
    void run_tasks() {
        if (!has_tasks()) {
            return;
        }
        arena_wait wait;
        alarms<arena_wait> in_time;
        // Before anybody knows of the wait, as it throws where there is no thread to be had.
        const alarms<arena_wait>::alarm end(in_time, wait, std::chrono::steady_clock::now() + longest_search);
        {
            const std::scoped_lock lock(leaving_);
            leaver_ = &wait;
            if (witnesses_ == 0) {
                wait.release();
            }
        }
        wait.wait();
        const std::scoped_lock lock(leaving_);
        leaver_ = nullptr;
    }

    /// The task begins. A helper may have been faster: then there is nothing to do, or the helper does it.
    void run_task() {
        const word seen =
            change([](word now) { return (now & ~task_due) | ((now & ~flags) != 0 ? running : 0); });
        if ((seen & ~flags) != 0 && (seen & running) == 0) {
            run(runner::task);
        }
    }

    void task_swallowed() {
        const word seen = change(
            [](word now) { return (now & ~task_due) | ((now & running) != 0 ? was_swallowed : running); });
        if ((seen & running) == 0) {
            swallowed_();
            leave_after(seen);
        }
    }

    /// Runs the pump until there was no request since. To be called by who set `running`.
    void run(runner by) {
        runner_thread_.store(std::this_thread::get_id());
        word seen = state_.load();
        for (bool gone = false; !gone;) {
            try {
                if (pump_(by)) {
                    gone = left(seen);
                    continue;
                }
            } catch (...) {
                leave_after(seen);
                throw;
            }
            gone = left_to_task(by);
        }
    }

    /// Leaves if there was no request after `seen`; else updates it.
    bool left(word& seen) {
        word now = state_.load();
        while (same_requests(now, seen)) {
            if ((now & was_swallowed) != 0) {
                state_.fetch_and(~was_swallowed);
                swallowed_();
                now = state_.load();
                continue;
            }
            runner_thread_.store({});
            if (state_.compare_exchange_weak(now, now & task_due)) {
                return true;
            }
        }
        runner_thread_.store(std::this_thread::get_id());
        seen = now;
        return false;
    }

    /// Leaves the rest, with all requests, to a task: that which waits, or else a new one. False: this run
    /// goes on, once as somebody sleeps who has asked for it, or as there is no memory for a task.
    bool left_to_task(runner by) {
        runner_thread_.store({});
        const word last = change(
            [](word now) { return (now & relied_on) != 0 ? now & ~relied_on : task_due | one_request; });
        if ((last & relied_on) != 0) {
            runner_thread_.store(std::this_thread::get_id());
            return false;
        }
        try {
            if ((last & task_due) == 0) {
                spawn();
            }
        } catch (...) {
            if (by != runner::task) { // who helps is told
                throw;
            }
            return !began_again();
        }
        return true;
    }
    /// False: somebody else runs by now, and sees the requests.
    bool began_again() {
        if ((change([](word now) { return now | running; }) & running) != 0) {
            return false;
        }
        runner_thread_.store(std::this_thread::get_id());
        return true;
    }

    /// Leaves. What was requested after `seen` is another run's.
    void leave_after(word seen) {
        runner_thread_.store({});
        const word last = change([](word now) { return now & task_due; });
        if (!same_requests(last, seen)) {
            request();
        }
    }

    tbb::flow::graph& graph_;
    pump_function pump_;
    std::function<void()> swallowed_;
    std::atomic<word> state_{0};
    std::atomic<std::thread::id> runner_thread_{};
    std::mutex leaving_;
    std::size_t witnesses_ = 0;    ///< of tasks that have not been destroyed; guarded by leaving_
    arena_wait* leaver_ = nullptr; ///< guarded by leaving_
    tbb::flow::function_node<token, tbb::flow::continue_msg> runner_;
};

/// A pump that another thread than its node's is asked to run.
struct wanted_pump {
    pump_schedule* schedule;
    wait_hold* hold; ///< is held until then; nullptr: the graph is held by the caller

    /// If nobody else runs it.
    void run_here(pump_schedule::runner as) const {
        const held_message its_graph(hold, std::adopt_lock);
        schedule->request_and_help(as);
    }
    void leave_to_task() const noexcept {
        const held_message its_graph(hold, std::adopt_lock);
        try {
            schedule->request();
        } catch (...) { // no memory for a task
            try {
                schedule->request_and_help(pump_schedule::runner::guest);
            } catch (...) { // nor to tell the graph what its pump has thrown
            }
        }
    }
};

/// A sender whose node can find a thread that sleeps in its put, or in that of a node before it, and have it
/// run the pump of a node that keeps them waiting.
class has_sleepers {
public:
    virtual ~has_sleepers() = default;
    /// False: there is none. `far`: how many nodes further it may look, as graphs may have cycles.
    virtual bool hand_to_sleeper(pump_schedule& needed, wait_hold& hold, int far) = 0;
};

/// A receiver whose node's pump, and those of the nodes behind it that keep it waiting, may be run by a
/// thread that waits for room before them.
class can_be_helped {
public:
    virtual ~can_be_helped() = default;
    virtual void help(int far) = 0;
};

} // namespace forkflow::graph
