// SPDX-License-Identifier: MIT
// The node: takes messages in from its graph, sees that each leaves in order, and keeps to oneTBB's rules
// about refusing, waiting, cancelling and resetting. What happens to a message in between is the stream's
// business.
#pragma once

#include <forkflow/graph/predecessors.hpp>
#include <forkflow/graph/pump_schedule.hpp>
#include <forkflow/graph/successors.hpp>
#include <forkflow/graph/wait_hold.hpp>
#include <forkflow/nodes/failure.hpp>

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace forkflow::graph {

/// A node of a oneTBB flow graph whose messages take a detour through `Stream` and come back in order.
///
/// A Stream has: `try_reserve(message)`, a number in arrival order if there is room; `fill(number, message)`;
/// `has_room(n)`; `try_take()`, the next outcome, which has a `value` or a `failed`; `try_drop()`;
/// `withdraw()`, which lets what no worker has begun come out without being begun; `in_flight()`;
/// `wait_a_moment()`, which looks for the next outcome a little longer; `rest()`
/// and `arm_for_room()`, which register for a call of `on_progress`, unless what is waited for is there;
/// `collecting()`, the lock for taking, dropping and resting; `ring()`, which lets on_progress be called; and
/// `stop()`, after which it is not.
///
/// Work is done by the *pump*, a task of the graph that runs when something may have changed: it emits what
/// is ready, then lets in what waits outside, until neither is possible. While a successor keeps an outcome
/// waiting, the node rests without holding the graph, as a full buffer would; the successor's asking wakes
/// it.
///
/// Messages that were abandoned (the graph was cancelled or reset) and are with a worker still count, and
/// hold the graph, until the worker is through; then their outcomes are dropped.
///
/// Locks: `arriving_` orders arrivals, and may be followed by the stream's; no other node is called while one
/// is held.
template <class Input, class Output, bool Queueing, class Stream>
class ordered_node : public tbb::flow::graph_node,
                     public tbb::flow::receiver<Input>,
                     public tbb::flow::sender<Output> {
public:
    using input_type = Input;
    using output_type = Output;
    using predecessor_type = tbb::flow::sender<Input>;
    using successor_type = tbb::flow::receiver<Output>;

    ordered_node(const ordered_node&) = delete;
    ordered_node& operator=(const ordered_node&) = delete;

protected:
    /// `make_stream(on_progress)` gives the stream; on_progress is to be called from a thread that is no task
    /// of the graph.
    template <class MakeStream>
    ordered_node(tbb::flow::graph& owner, tbb::flow::node_priority_t priority, MakeStream&& make_stream)
        : graph_node(owner)
        , priority_(priority)
        , hold_(owner)
        , predecessors_(*this)
        , successors_([this] { delivered(); }, [this] { wake(); })
        , schedule_(
              owner, priority, [this] { pump(); }, [this] { abandon(); })
        , stream_(std::forward<MakeStream>(make_stream)([this] { on_progress(); })) {
        complete_.store(true);
        stream_.ring(); // for what happened while the node was not complete
    }
    /// Drops what is inside. If the pump is due, its task refers to this node, so the graph is waited for.
    ~ordered_node() override {
        complete_.store(false);
        stream_.stop();
        abandon();
        hold_.clear(); // what was with a worker never comes back
        if (schedule_.due()) {
            schedule_.wait();
        }
    }

    [[nodiscard]] tbb::flow::graph& owner() const { return this->my_graph; }
    /// The stream's snapshot, with what is queued here at that moment.
    [[nodiscard]] auto snapshot() const {
        stream_.collecting().give_way();
        const std::scoped_lock lock(arriving_);
        auto now = stream_.snapshot();
        now.queued = queue_.size() - (filling_ ? 1 : 0);
        return now;
    }

    /// Waits for room until `deadline`; false: there was none.
    bool put_until(const Input& message, std::chrono::steady_clock::time_point deadline) {
        while (!try_put_in_ring(message)) {
            if (std::chrono::steady_clock::now() >= deadline) {
                return false;
            }
            wait_for_room(deadline);
        }
        return true;
    }

private:
    /// One message's share of the hold: given back unless kept.
    class held {
    public:
        explicit held(wait_hold& hold)
            : hold_(&hold) {
            hold.add();
        }
        ~held() {
            if (hold_ != nullptr) {
                hold_->remove();
            }
        }
        held(const held&) = delete;
        held& operator=(const held&) = delete;
        void keep() noexcept { hold_ = nullptr; }

    private:
        wait_hold* hold_;
    };

    // --- arriving

    graph_task* try_put_task(const Input& message) override {
        held one(hold_);
        std::unique_lock lock(arriving_);
        if (const auto number = reserve(message)) {
            lock.unlock();
            one.keep();
            stream_.fill(*number, message);
            return taken_without_task;
        }
        if constexpr (Queueing) {
            const bool first = queue_.empty();
            queue_.push_back(message);
            lock.unlock();
            one.keep();
            if (first) {
                // The pump registers for room, and keeps doing so while the queue has something.
                schedule_.request();
            }
            return taken_without_task;
        } else {
            return nullptr;
        }
    }

    /// As a rejecting node does, whatever the policy.
    bool try_put_in_ring(const Input& message) {
        held one(hold_);
        std::unique_lock lock(arriving_);
        const auto number = reserve(message);
        if (!number) {
            return false;
        }
        lock.unlock();
        one.keep();
        stream_.fill(*number, message);
        return true;
    }

    void wait_for_room(std::chrono::steady_clock::time_point deadline) {
        std::unique_lock lock(arriving_);
        ++waiters_;
        const std::uint64_t seen = room_signals_;
        const bool last_in_line = !queue_.empty() || pulling_;
        lock.unlock();
        if (last_in_line) {
            schedule_.request(); // the pump lets in who is first, and then signals
        } else if (!stream_.arm_for_room()) {
            return; // there is room
        }
        lock.lock();
        room_.wait_until(lock, deadline, [&] { return room_signals_ != seen; });
    }

    /// Lets callers of put try again if there is room for one. True if they must go on waiting for the ring.
    bool signal_room() {
        const std::scoped_lock lock(arriving_);
        if (waiters_ == 0 || !queue_.empty() || pulling_) {
            return false;
        }
        if (!stream_.has_room(1)) {
            return true;
        }
        waiters_ = 0;
        ++room_signals_;
        room_.notify_all();
        return false;
    }

    /// A number for a message that arrives now, if nothing waits in front of it and there is room, also for
    /// the message that the pump may be fetching. With arriving_ held.
    auto reserve(const Input& message) -> decltype(std::declval<Stream&>().try_reserve(message)) {
        if (!queue_.empty() || (pulling_ && !stream_.has_room(2))) {
            return std::nullopt;
        }
        return stream_.try_reserve(message);
    }

    bool register_predecessor(predecessor_type& from) override {
        predecessors_.add(from);
        schedule_.request(); // there may be room by now; from may hold a lock, so it is not asked here
        return true;
    }
    bool remove_predecessor(predecessor_type& from) override {
        predecessors_.remove(from);
        return true;
    }

    // --- the pump

    void pump() {
        hold_.resume();
        try {
            while (complete_.load()) {
                if (tbb::is_current_task_group_canceling()) {
                    abandon();
                    return;
                }
                const bool emitted = emit();
                const bool let_in = admit();
                if (!emitted && !let_in && !wait_a_moment() && rest()) {
                    return;
                }
            }
        } catch (...) {
            abandon();
            throw;
        }
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
        while (auto outcome = take()) {
            moved = true;
            if (outcome->failed) {
                hold_.remove();
                throw process_error(std::move(*outcome->failed));
            }
            if (!successors_.offer(*outcome->value)) {
                break;
            }
            hold_.remove();
        }
        return moved;
    }

    auto take() {
        const std::scoped_lock lock(stream_.collecting());
        hold_.remove(drop_stale());
        // While a stale outcome is awaited, the next one is not ours to emit.
        return stale_ > 0 ? decltype(stream_.try_take()){} : stream_.try_take();
    }

    /// From any thread: the last successor has taken the outcome.
    void delivered() {
        hold_.resume();
        hold_.remove();
        schedule_.request();
    }

    /// From any thread: a successor wants to be pushed to again.
    void wake() {
        hold_.resume();
        schedule_.request();
    }

    /// Lets in what waits outside: the queue, then predecessors, then callers of put. True if a message came
    /// in.
    bool admit() {
        bool moved = false;
        while (admit_from_queue() || admit_from_predecessor()) {
            moved = true;
        }
        signal_room();
        return moved;
    }

    bool admit_from_queue() {
        std::unique_lock lock(arriving_);
        if (queue_.empty()) {
            return false;
        }
        const Input& first = queue_.front(); // stays where it is: only the pump takes from the queue
        const auto number = stream_.try_reserve(first);
        if (!number) {
            return false;
        }
        filling_ = true;
        lock.unlock();
        stream_.fill(*number, first);
        lock.lock();
        filling_ = false;
        queue_.pop_front();
        return true;
    }

    bool admit_from_predecessor() {
        if (predecessors_.empty() || !start_pulling()) {
            return false;
        }
        Input message{};
        held one(hold_);
        bool got = false;
        try {
            got = predecessors_.try_get(message);
        } catch (...) {
            stop_pulling();
            throw;
        }
        if (!got) {
            stop_pulling();
            return false;
        }
        std::unique_lock lock(arriving_);
        const auto number = stream_.try_reserve(message);
        pulling_ = false;
        lock.unlock();
        one.keep();
        // There is room: nobody else may take the last place while pulling_ is set.
        stream_.fill(number.value(), message);

        return true;
    }

    bool start_pulling() {
        const std::scoped_lock lock(arriving_);
        pulling_ = queue_.empty() && stream_.has_room(1);
        return pulling_;
    }
    void stop_pulling() {
        const std::scoped_lock lock(arriving_);
        pulling_ = false;
    }

    /// Waits a little for the next outcome, if that keeps nobody from working. True: it is there.
    bool wait_a_moment() {
        if (successors_.busy() || tbb::this_task_arena::max_concurrency() < 2) {
            return false;
        }
        const std::scoped_lock lock(stream_.collecting());
        return stream_.wait_a_moment();
    }

    /// Registers for everything that may happen next. False: something happened already.
    bool rest() {
        if (successors_.busy()) {
            hold_.suspend();
            if (!successors_.busy()) { // delivered, perhaps before the line above
                hold_.resume();
                return false;
            }
        } else {
            const std::scoped_lock lock(stream_.collecting());
            if (!stream_.rest()) {
                return false;
            }
        }
        return !wants_room() || stream_.arm_for_room();
    }

    bool wants_room() const {
        const std::scoped_lock lock(arriving_);
        return !queue_.empty() || waiters_ > 0 || !predecessors_.empty();
    }

    // --- the stream's thread

    void on_progress() {
        if (!complete_.load()) {
            return;
        }
        std::size_t dropped = 0;
        for (;;) {
            std::unique_lock lock(stream_.collecting());
            dropped += drop_stale();
            const bool live = hold_.count() > stale_ + dropped;
            lock.unlock();
            // The pump registers once it is through.
            if ((live || !predecessors_.empty()) && request_if_held()) {
                break;
            }
            lock.lock();
            if (stream_.rest() || hold_.suspended()) {
                break;
            }
        }
        while (signal_room() && !stream_.arm_for_room()) {
        }
        hold_.remove(dropped);
    }

    /// Asks for the pump, unless the graph is idle: it may then be destroyed at any moment. Held, it waits
    /// for the task.
    bool request_if_held() {
        if (!hold_.try_add()) {
            return false;
        }
        schedule_.request();
        hold_.remove();
        return true;
    }

    /// Drops outcomes of messages that were abandoned. With collecting held. Returns how many: the caller
    /// removes their hold.
    [[nodiscard]] std::size_t drop_stale() {
        std::size_t dropped = 0;
        while (stale_ > 0 && stream_.try_drop()) {
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
        {
            const std::scoped_lock lock(arriving_, stream_.collecting());
            dropped += queue_.size();
            queue_.clear();
            stream_.withdraw();
            stale_ = stream_.in_flight();
            do {
                dropped += drop_stale();
            } while (!stream_.rest() && stale_ > 0);
        }
        hold_.resume();
        hold_.remove(dropped);
        signal_room();
    }

    void reset_node(tbb::flow::reset_flags flags) override {
        abandon();
        if ((flags & tbb::flow::rf_clear_edges) != 0) {
            predecessors_.clear();
            successors_.clear();
        } else {
            predecessors_.turn_back();
        }
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
    tbb::flow::graph& graph_reference() const override { return this->my_graph; }
    tbb::flow::node_priority_t priority() const override { return priority_; }

    const tbb::flow::node_priority_t priority_;
    wait_hold hold_;

    mutable std::mutex arriving_;
    std::deque<Input> queue_; ///< of a queueing node: what came when there was no room
    bool filling_ = false;    ///< the first of the queue has its number already
    bool pulling_ = false;    ///< the pump is fetching a message, for which a place must remain
    std::size_t waiters_ = 0; ///< callers of put that wait
    std::uint64_t room_signals_ = 0;
    std::condition_variable room_;

    /// So many of the next outcomes belong to abandoned messages. Guarded by collecting.
    std::size_t stale_ = 0;
    std::atomic<bool> complete_{false}; ///< constructed, and not being destroyed

    predecessors<Input> predecessors_;
    successors<Output> successors_;
    pump_schedule schedule_;
    Stream stream_; ///< last: its thread calls us, and is gone first
};

} // namespace forkflow::graph
