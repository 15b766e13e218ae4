// SPDX-License-Identifier: MIT
// The node: takes messages in from its graph, sees that each leaves in order, and keeps to oneTBB's rules
// about refusing, waiting, cancelling and resetting. What happens to a message in between is the stream's
// business; how messages come in is that of the arrivals.
#pragma once

#include <forkflow/graph/arrivals.hpp>
#include <forkflow/graph/predecessors.hpp>
#include <forkflow/graph/protocol.hpp>
#include <forkflow/graph/pump_schedule.hpp>
#include <forkflow/graph/successors.hpp>
#include <forkflow/graph/wait_hold.hpp>
#include <forkflow/nodes/cache_line.hpp>
#include <forkflow/nodes/failure.hpp>

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace forkflow::graph {

/// A node of a oneTBB flow graph whose messages take a detour through `Stream` and come back in order.
///
/// A Stream has: `try_reserve(message)`, a number in arrival order if there is room; `try_reserve_run(at,
/// most)`, numbers for up to `most_reserved_at_once`; `fill(number, message)`;
/// `has_room(n)`; `take_run(run, most)`, which appends the next outcomes, each with a `value` or a `failed`,
/// and `release(outcome)`, until which it counts as inside; `try_drop()`;
/// `withdraw()`, which lets what no worker has begun come out without being begun; `expect_cancel()`: from
/// now on on_progress is called now and then while something is inside, and take_cancel_look() is true then;
/// `in_flight()`;
/// `wait_a_moment(lock)`, which looks for the next outcome a little longer, and `wait_for_single(lock)`,
/// which does so only while no more than one message is inside; `look_out()`, which says whether that is
/// worth while, and if so takes back what rest has registered; `rest()` and `arm_for_room(when)`, which
/// register for a call of `on_progress`, unless what is waited for is there; `collecting()`, the lock for
/// taking, dropping and resting; `ring()`, which lets on_progress be called; and `stop()`, after which it is
/// not.
///
/// Work is done by the *pump*, which runs when something may have changed: it emits what is ready, then lets
/// in what waits outside, until neither is possible. It is a task of the graph, or runs in a thread that
/// waits in put. While a successor keeps an outcome waiting, the node rests without holding the graph, as a
/// full buffer would; the successor's asking wakes it.
///
/// Outcomes are taken out of the window in runs, so that locks and counters cost once per run. A run keeps
/// its places in the window until it is emitted.
///
/// Messages that were abandoned (the graph was cancelled or reset) and are with a worker still count, and
/// hold the graph, until the worker is through; then their outcomes are dropped.
///
/// Locks: that of the arrivals may be followed by the stream's and the successors'; no other node is called
/// while one is held.
template <class Input, class Output, bool Queueing, class Stream>
class ordered_node : public tbb::flow::graph_node,
                     public tbb::flow::receiver<Input>,
                     public tbb::flow::sender<Output>,
                     public can_be_helped {
public:
    using input_type = Input;
    using output_type = Output;
    using predecessor_type = tbb::flow::sender<Input>;
    using successor_type = tbb::flow::receiver<Output>;

    ordered_node(const ordered_node&) = delete;
    ordered_node& operator=(const ordered_node&) = delete;

protected:
    /// Makes a stream that calls on_progress, from a thread that is no task of the graph.
    using stream_maker = std::function<Stream(std::function<void()> on_progress)>;

    ordered_node(tbb::flow::graph& owner, tbb::flow::node_priority_t priority, stream_maker make_stream)
        : graph_node(owner)
        , priority_(priority)
        , make_stream_(std::move(make_stream))
        , hold_(owner)
        , predecessors_(*this)
        , successors_([this] { delivered(); }, [this] { wake(); },
                      [this](pump_schedule& needed, wait_hold& hold, int far) {
                          return arrivals_.hand_to_sleeper(needed, hold, far);
                      })
        , schedule_(
              owner, priority, [this](pump_schedule::runner by) { return pump(by); }, [this] { abandon(); })
        , arrivals_(hold_, predecessors_, schedule_, stream_) {
        start_stream();
    }
    /// Drops what is inside. A task of the pump refers to this node, so it is waited for.
    ~ordered_node() override {
        complete_.store(false);
        hold_.retire();
        schedule_.wait_for_tasks();
        stream_->stop();
        schedule_.wait_for_tasks(); // which the stream's thread may have asked for; it does nothing any more
        abandon();
    }

    [[nodiscard]] tbb::flow::graph& owner() const { return this->my_graph; }
    [[nodiscard]] tbb::flow::node_priority_t own_priority() const { return priority_; }
    void name_for_tracing(const char* name) const { schedule_.name_task(name); }

    [[nodiscard]] Stream& stream() noexcept { return *stream_; }

    /// The stream's snapshot, with what is queued here at that moment.
    [[nodiscard]] auto snapshot() const {
        const std::scoped_lock lock(arrivals_.mutex());
        stream_->collecting().give_way();
        const std::scoped_lock collecting(stream_->collecting());
        auto now = stream_->snapshot_while_collecting(
            std::span(run_).subspan(run_released_, run_next_.load() - run_released_));
        now.queued = arrivals_.queued();
        return now;
    }

    /// Waits for room until `deadline`; false: there was none.
    bool put_until(const Input& message, std::chrono::steady_clock::time_point deadline) {
        return arrivals_.put_until(
            message, deadline, [this] { return successors_.busy(); },
            [this] { return successors_.help_behind(arrivals_.farthest); });
    }

private:
    // --- arriving

    graph_task* try_put_task(const Input& message) override { return answer(arrivals_.try_put(message, {})); }
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    graph_task* try_put_task(const Input& message, const message_metainfo& waiters) override {
        return answer(arrivals_.try_put(message, message_waiters(waiters)));
    }
#endif
    static graph_task* answer(bool taken) noexcept {
        return taken ? taken_without_task : nullptr;
    }

    bool register_predecessor(predecessor_type& from) override {
        predecessors_.add(from);
        arrivals_.request_pump(); // there may be room by now; from may hold a lock, so it is not asked here
        return true;
    }
    bool remove_predecessor(predecessor_type& from) override {
        predecessors_.remove(from);
        return true;
    }

    void help(int far) override {
        const held_message graph(hold_);
        schedule_.request_and_help(pump_schedule::runner::guest);
        successors_.help_behind(far);
    }

    // --- the pump

    /// True if nothing is left to do.
    bool pump(pump_schedule::runner by) {
        hold_.resume();
        try {
            disarm();
            while (complete_.load()) {
                if (is_being_cancelled(this->my_graph)) {
                    abandon();
                    break;
                }
                const bool emitted = emit();
                const bool let_in = arrivals_.admit(by);
                if (!emitted && !let_in) {
                    // Who waits here would keep the predecessors' tasks from running, or have another thread
                    // steal them, which then competes with the workers for processors.
                    if (by == pump_schedule::runner::task && !successors_.busy() &&
                        arrivals_.may_leave_to_task()) {
                        return false;
                    }
                    if (!wait_a_moment(by) && rest()) {
                        break;
                    }
                } else if (by == pump_schedule::runner::helper && arrivals_.let_helper_go()) {
                    return false; // a helper has got what it wants
                }
            }
        } catch (...) {
            abandon();
            throw;
        }
        return true;
    }

    /// Emits what is ready, until nothing is or a successor refuses. True if something left.
    bool emit() {
        bool moved = false;
        if (successors_.busy()) {
            if (!successors_.offer_again()) {
                return false;
            }
            hold_.remove();
            moved = true;
        }
        while (run_next_ < run_.size() || take_run()) {
            moved = true;
            // NOLINTNEXTLINE(readability-static-accessed-through-instance)
            const message_waiters waiters = arrivals_.on_the_way().left();
            auto& outcome = run_[run_next_++];
            if (outcome.failed) {
                throw process_error(std::move(*outcome.failed));
            }
            with_successors_ = 1; // and stays, if one of them refuses or throws
            const bool settled = successors_.offer(*outcome.value, waiters);
            outcome.value.reset(); // what it holds is the successors' from now on
            if (!settled) {
                const std::scoped_lock lock(stream_->collecting());
                hold_.remove(release_emitted());
                break;
            }
            with_successors_ = 0;
        }
        return moved;
    }

    /// Takes the next run. False: there is none.
    bool take_run() {
        const std::scoped_lock lock(stream_->collecting());
        hold_.remove(release_emitted());
        forget_run();
        hold_.remove(drop_stale());
        if (stale_ == 0) { // else the next outcome is not ours to emit
            stream_->take_run(run_, most_in_run());
        }
        return !run_.empty();
    }

    /// So few that workers go on well before the window is used up.
    [[nodiscard]] std::size_t most_in_run() const {
        return std::clamp<std::size_t>(stream_->options().window / 4, 1, 32);
    }

    /// Gives the places of what has been emitted back to the window. With collecting held. Returns how many
    /// messages it was: the caller removes their hold. One that is with the successors keeps its hold.
    [[nodiscard]] std::size_t release_emitted() {
        const std::size_t emitted = run_next_ - run_released_;
        for (; run_released_ < run_next_; ++run_released_) {
            stream_->release(run_[run_released_]);
        }
        return emitted - std::exchange(with_successors_, 0);
    }
    /// Forgets what has been taken and not emitted: it is still in the window. With collecting held.
    void forget_run() {
        run_.clear();
        run_next_ = 0;
        run_released_ = 0;
    }

    /// From any thread: the last successor has taken the outcome.
    void delivered() {
        hold_.resume();
        hold_.remove();
        arrivals_.request_pump();
    }

    /// From any thread: a successor wants to be pushed to again.
    void wake() {
        hold_.resume();
        arrivals_.request_pump();
    }

    /// Waits a little for the next outcome, if that keeps nobody from working. True: it is there.
    bool wait_a_moment(pump_schedule::runner by) {
        if (by == pump_schedule::runner::helper || successors_.busy()) {
            return false;
        }
        std::unique_lock lock(stream_->collecting());
        // The only thread of an arena has other tasks to run while several messages are on their way.
        return tbb::this_task_arena::max_concurrency() < 2 ? stream_->wait_for_single(lock)
                                                           : stream_->wait_a_moment(lock);
    }

    /// While the pump runs it need not be called: it looks, and registers once it finds nothing to do.
    void disarm() {
        const std::scoped_lock lock(stream_->collecting());
        stream_->disarm();
    }

    /// Registers for everything that may happen next. False: something happened already.
    bool rest() {
        if (successors_.busy()) {
            hold_.suspend();
            if (!successors_.busy()) { // delivered, perhaps before the line above
                hold_.resume();
                return false;
            }
            arrivals_.tell_held_up();
        } else {
            const std::scoped_lock lock(stream_->collecting());
            if (!stream_->rest()) {
                return false;
            }
        }
        return !arrivals_.wants_room() || stream_->arm_for_room(arrivals_.wanted_ring());
    }

    // --- the stream's thread

    void on_progress() {
        if (!complete_.load()) {
            return;
        }
        if (stream_->take_cancel_look()) {
            request_if_held([this] { schedule_.request_task(); });
        }
        if (schedule_.request_of_runner()) { // which holds collecting most of the time
            return;
        }
        struct removal { // at the end, also if there is no memory for a task
            wait_hold& hold;
            std::size_t messages = 0;
            ~removal() { hold.remove(messages); }
        } dropped{hold_};
        for (;;) {
            std::unique_lock lock(stream_->collecting());
            dropped.messages += drop_stale();
            const bool live = hold_.count() > stale_ + dropped.messages;
            lock.unlock();
            // The pump registers once it is through.
            if ((live || !predecessors_.empty()) && request_if_held([this] { arrivals_.request_pump(); })) {
                break;
            }
            lock.lock();
            if (stream_->rest() || hold_.suspended()) {
                break;
            }
        }
        tell_of_room();
    }

    /// Those who wait in put: that there is room, or else by a ring once there is.
    void tell_of_room() {
        while (arrivals_.signal_room() && !stream_->arm_for_room(arrivals_.wanted_ring())) {
        }
    }

    /// Calls `request`, which asks for the pump, unless the graph is idle: it may then be destroyed at any
    /// moment. Held, it waits for the task.
    template <class Request>
    bool request_if_held(Request request) {
        const auto held = hold_.try_hold_graph();
        if (held) {
            request();
        }
        return held != nullptr;
    }

    /// Drops outcomes of messages that were abandoned. With collecting held. Returns how many: the caller
    /// removes their hold.
    [[nodiscard]] std::size_t drop_stale() {
        std::size_t dropped = 0;
        while (stale_ > 0 && stream_->try_drop()) {
            (void)arrivals_.on_the_way().left();
            --stale_;
            ++dropped;
        }
        return dropped;
    }

    // --- cancel and reset

    /// Gives up everything that is inside: what waits is dropped, what is with workers is dropped when it
    /// comes back. No pump runs meanwhile, except the one that calls this because of an exception.
    void abandon() {
        std::size_t dropped = successors_.drop() ? 1 : 0;
        decltype(run_) forgotten; // these die without a lock, as the user's destructors are called
        typename decltype(arrivals_)::queue forgotten_in_queue;
        {
            const std::scoped_lock lock(arrivals_.mutex(), stream_->collecting());
            dropped += release_emitted();
            forgotten.swap(run_);
            forget_run();
            dropped += arrivals_.drop(forgotten_in_queue);
            stream_->withdraw();
            stale_ = stream_->in_flight();
            do {
                dropped += drop_stale();
            } while (!stream_->rest() && stale_ > 0);
        }
        hold_.resume();
        hold_.remove(dropped);
        tell_of_room();
    }

    void reset_node(tbb::flow::reset_flags flags) override {
        abandon();
        if ((flags & tbb::flow::rf_reset_bodies) != 0) {
            stop_stream();
            start_stream();
        }
        if ((flags & tbb::flow::rf_clear_edges) != 0) {
            predecessors_.clear();
            successors_.clear();
        } else {
            predecessors_.turn_back();
        }
    }

    /// If there can be none, the node stays with the old one, which is stopped, and refuses what comes.
    void start_stream() {
        std::unique_ptr<Stream> other(new Stream(make_stream_([this] { on_progress(); })));
        {
            const std::scoped_lock lock(arrivals_.mutex());
            stream_.swap(other);
            stale_ = 0;
            arrivals_.on_the_way().restart();
            arrivals_.open();
        }
        other.reset();
        complete_.store(true);
        stream_->expect_cancel();
        stream_->ring(); // for what happened while the node was not complete
    }
    /// What is with a worker never comes back. No pump runs.
    void stop_stream() {
        complete_.store(false);
        arrivals_.close();
        stream_->stop();
        abandon();
        hold_.clear();
    }

    // --- oneTBB's virtuals

    bool register_successor(successor_type& to) override {
        successors_.add(to);
        return true;
    }
    bool remove_successor(successor_type& to) override {
        successors_.remove(to);
        return true;
    }
    tbb::flow::graph& graph_reference() const override {
        return this->my_graph;
    }
    tbb::flow::node_priority_t priority() const override {
        return priority_;
    }

    const tbb::flow::node_priority_t priority_;
    const stream_maker make_stream_;
    [[maybe_unused]] nodes::cache_line_gap putting_{};
    wait_hold hold_;

    /// So many of the next outcomes belong to abandoned messages. Guarded by collecting.
    std::size_t stale_ = 0;
    std::atomic<bool> complete_{false}; ///< constructed, and not being destroyed

    // The pump's: outcomes in order, of which the first run_released_ are no longer in the window, and the
    // first run_next_ have been offered; with_successors_ is 1 while the last of these may not be settled.
    // Snapshots look at them: all but run_next_ changes with collecting held, and an outcome is as it was
    // taken.
    [[maybe_unused]] nodes::cache_line_gap pumping_{};
    std::vector<typename Stream::outcome_type> run_;
    std::atomic<std::size_t> run_next_ = 0;
    std::size_t run_released_ = 0;
    std::size_t with_successors_ = 0;

    [[maybe_unused]] nodes::cache_line_gap others_{};
    predecessors<Input> predecessors_;
    successors<Output> successors_;
    pump_schedule schedule_;
    arrivals<Input, Queueing, Stream> arrivals_;
    std::unique_ptr<Stream> stream_; ///< last: its thread calls us, and is gone first
};

} // namespace forkflow::graph
