// SPDX-License-Identifier: MIT
// The arriving side of a node: numbers messages in the order in which they come, and keeps what has no room
// yet: a queue, predecessors to be asked, callers of put that wait.
#pragma once

#include <forkflow/graph/arena_wait.hpp>
#include <forkflow/graph/arena_waits.hpp>
#include <forkflow/graph/message_queue.hpp>
#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/predecessors.hpp>
#include <forkflow/graph/pump_schedule.hpp>
#include <forkflow/graph/wait_hold.hpp>
#include <forkflow/nodes/cache_line.hpp>
#include <forkflow/nodes/room_ring.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace forkflow::graph {

/// What arrives is numbered under one lock, which may be followed by the stream's; no other node is called
/// while it is held. Thread-safe, but for `admit`, which is the pump's.
///
/// **Waiting for room.** Who waits in put runs the pump itself if nobody else does, for the pump is what
/// makes room, and all threads of the graph may be waiting here. Only then it sleeps: until there is room, or
/// until a pump is needed, its node's or that of a node behind it which keeps it waiting. If what holds up
/// the node is a successor, not a worker, then a thread of an arena does not sleep: it takes up other tasks,
/// the successor's among them.
template <class Input, bool Queueing, class Stream>
class arrivals {
public:
    using clock = std::chrono::steady_clock;
    /// Over so many nodes threads that wait look for work.
    static constexpr int farthest = 16;

    arrivals(wait_hold& hold, predecessors<Input>& predecessors, pump_schedule& schedule,
             std::unique_ptr<Stream>& stream)
        : hold_(hold)
        , predecessors_(predecessors)
        , schedule_(schedule)
        , stream_(stream) {}

    /// What snapshots and whoever replaces the stream hold.
    [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }
    /// How many messages wait in the queue. With the mutex held.
    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size() - filling_; }

    /// As receiver::try_put. False only if the node rejects.
    bool try_put(const Input& message, message_waiters waiters) {
        held_message one(hold_);
        std::unique_lock lock(mutex_);
        if (enter(message, waiters, one, lock)) {
            return true;
        }
        if constexpr (Queueing) {
            return queue_up(message, waiters, one, lock);
        }
        return false;
    }

    /// Waits for room until `deadline`, whatever the policy; false: there was none. `held_up()`: the node
    /// waits for a successor; `help_behind()` runs such successors' pumps, if there are any. A successor that
    /// the pump is calling is told at once: it would wait for itself.
    template <class HeldUp, class HelpBehind>
    bool put_until(const Input& message, clock::time_point deadline, HeldUp held_up, HelpBehind help_behind) {
        while (!try_enter(message)) {
            if (schedule_.running_here()) {
                return Queueing && try_put(message, {});
            }
            if (clock::now() >= deadline || closed_.load()) {
                return false;
            }
            if (!wait_for_room(deadline, held_up, help_behind)) {
                return try_put(message, {});
            }
        }
        return true;
    }

    /// Lets in what waits outside: the queue, then predecessors, then callers of put. True if a message came
    /// in. `by`: how the pump runs.
    bool admit(pump_schedule::runner by) {
        bool moved = false;
        for (admission next = admission::some; next == admission::some;) {
            next = admit_from_queue();
            if (next == admission::none && admit_from_predecessor(by)) {
                next = admission::some;
            }
            moved |= next != admission::none;
        }
        signal_room();
        return moved;
    }

    /// For the pump's task, once: all predecessors were told to push again, and their tasks are this thread's
    /// next, with one of the pump beneath. Who waits in put needs a pump that goes on.
    [[nodiscard]] bool may_leave_to_task() noexcept {
        return std::exchange(turned_back_, false) && predecessors_.empty() && waiters_.load() == 0;
    }

    [[nodiscard]] bool wants_room() const {
        const std::scoped_lock lock(mutex_);
        return !queue_.empty() || waiters_.load() > 0 || !predecessors_.empty();
    }

    [[nodiscard]] nodes::room_ring wanted_ring() const {
        const std::scoped_lock lock(mutex_);
        return in_a_hurry_ && queue_.empty() ? nodes::room_ring::soon : nodes::room_ring::late;
    }

    /// Lets callers of put try again, the one that runs the pump among them. False: there is no room.
    bool let_helper_go() {
        const std::scoped_lock lock(mutex_);
        if (!queue_.empty() || pulling_ || !stream_->has_room(1)) {
            return false;
        }
        tell_waiters();
        return true;
    }

    /// Lets callers of put try again if there is room for one. True if they must go on waiting for the ring.
    bool signal_room() {
        // One who comes now asks for the pump afterwards, and that takes `collecting` first, as whoever has
        // made room did: next_to_emit is stored with release only, so this load alone would be no Dekker
        // pair.
        if (waiters_.load() == 0) {
            return false;
        }
        const std::scoped_lock lock(mutex_);
        if (waiters_.load() == 0 || !queue_.empty() || pulling_) {
            return false;
        }
        if (!stream_->has_room(1)) {
            return true;
        }
        tell_waiters();
        return false;
    }

    /// Asks for the pump: of a thread that sleeps in put if there is one, as it may be the only one there is;
    /// else of the graph.
    void request_pump() {
        try {
            if (!hand_to_sleeper(schedule_, hold_, farthest)) {
                schedule_.request();
                wake_arena_waits();
            }
        } catch (...) { // no memory for the task, which somebody else may rely on, too
            stream_->ring();
            throw;
        }
    }

    /// As in has_sleepers: has a thread that sleeps here, or in a node before, run a pump.
    bool hand_to_sleeper(pump_schedule& needed, wait_hold& hold, int far) {
        if (sleepers_.load() > 0) {
            const std::scoped_lock lock(mutex_);
            if (sleepers_.load() > 0) {
                wanted_.push_back({&needed, &hold});
                hold.add(); // until it has run
                changed_.notify_one();
                return true;
            }
        }
        return predecessors_.hand_to_sleeper(needed, hold, far);
    }

    /// A successor holds up the node from now on: who sleeps here may be the one whose tasks it needs.
    void tell_held_up() {
        if (sleepers_.load() > 0) {
            const std::scoped_lock lock(mutex_);
            ++held_up_signals_;
            changed_.notify_all();
        }
    }

    struct queued_message {
        std::optional<Input> message; ///< until it has been handed over
        [[no_unique_address]] message_waiters waiters;
    };
    using queue = message_queue<queued_message>;

    /// Moves what waits in the queue to `forgotten`, which is to die without a lock, as the user's
    /// destructors are called. With the mutex held. Returns how many messages it had.
    std::size_t drop(queue& forgotten) {
        const std::size_t dropped = queued();
        queue_.swap(forgotten);
        filling_ = 0;        // unless an exception came between, or the graph was cancelled
        on_the_way_.clear(); // NOLINT(readability-static-accessed-through-instance)
        return dropped;
    }

    /// While there is no stream that works, everything is refused.
    void close() {
        const std::scoped_lock lock(mutex_);
        closed_.store(true);
    }
    /// With the mutex held.
    void open() noexcept { closed_.store(false); }

    /// Those who wait for messages that have their numbers.
    [[nodiscard]] waiters_on_the_way& on_the_way() noexcept { return on_the_way_; }

private:
    /// Numbers the message and hands it over, if it may come in now: nothing waits in front of it, and there
    /// is room, also for the message that the pump may be fetching. Unlocks.
    bool enter(const Input& message, message_waiters& waiters, held_message& one,
               std::unique_lock<std::mutex>& lock) {
        if (closed_.load() || !queue_.empty() || (pulling_ && !stream_->has_room(2))) {
            return false;
        }
        const auto number = stream_->try_reserve(message);
        if (!number) {
            return false;
        }
        // NOLINTNEXTLINE(performance-move-const-arg,readability-static-accessed-through-instance)
        on_the_way_.arrived(std::move(waiters));
        lock.unlock();
        one.keep();
        const bool looking_out = look_out_for_outcome();
        stream_->fill(*number, message);
        if (looking_out) {
            begin_pump();
        }
        return true;
    }

    /// Unlocks.
    bool queue_up(const Input& message, message_waiters& waiters, held_message& one,
                  std::unique_lock<std::mutex>& lock) {
        if (closed_.load()) {
            return false;
        }
        const bool first = queue_.empty();
        // NOLINTNEXTLINE(performance-move-const-arg)
        queue_.push({message, std::move(waiters)});
        lock.unlock();
        one.keep();
        if (first) {
            // The pump registers for room, and keeps doing so while the queue has something.
            begin_pump();
        }
        return true;
    }

    /// A message is about to come into an idle node. If its outcome may be there within a moment, nobody has
    /// to be woken for it: the pump waits for it from now on, in the thread that waits for the graph at best.
    /// True: the caller must see to the pump.
    bool look_out_for_outcome() {
        if (schedule_.due() || stream_->in_flight() > 1) { // mostly the former, which hardly ever changes
            return false;
        }
        // Somebody who gives pages back may hold it for long.
        const std::unique_lock lock(stream_->collecting(), std::try_to_lock);
        return lock && stream_->in_flight() == 1 && stream_->look_out();
    }
    void begin_pump() noexcept {
        try {
            request_pump();
        } catch (...) { // no memory for its task: the stream's thread tries again
        }
    }

    /// As a rejecting node does, whatever the policy.
    bool try_enter(const Input& message) {
        held_message one(hold_);
        std::unique_lock lock(mutex_);
        message_waiters none;
        return enter(message, none, one, lock);
    }

    /// False: waiting here could go wrong, but the node may queue the message.
    template <class HeldUp, class HelpBehind>
    bool wait_for_room(clock::time_point deadline, HeldUp held_up, HelpBehind help_behind) {
        std::unique_lock lock(mutex_);
        ++waiters_;
        ++sleepers_; // from here on pumps may be handed to this thread
        bool sound = true;
        try {
            sound = sleep_or_help(lock, deadline, held_up, help_behind);
        } catch (...) { // no thread for the deadline, no stack to help on, or no memory
            if (!lock.owns_lock()) {
                lock.lock();
            }
            --sleepers_;
            hand_on(lock);
            throw;
        }
        --sleepers_;
        hand_on(lock);
        return sound;
    }

    template <class HeldUp, class HelpBehind>
    bool sleep_or_help(std::unique_lock<std::mutex>& lock, clock::time_point deadline, HeldUp held_up,
                       HelpBehind help_behind) {
        const std::uint64_t seen = room_signals_;
        const clock::time_point patient_until = std::min(deadline, clock::now() + nodes::late_ring_patience);
        bool helped_behind = false;
        help(lock, {&schedule_, nullptr});
        while (room_signals_ == seen && clock::now() < deadline) {
            const auto called = [&, seen_held_up = held_up_signals_] {
                return room_signals_ != seen || !wanted_.empty() || held_up_signals_ != seen_held_up;
            };
            if (!wanted_.empty()) {
                const wanted_pump first = wanted_.front();
                wanted_.pop_front();
                help(lock, first);
            } else if (held_up() && may_take_up_tasks()) {
                arena_waits_.wait(lock, deadline, sleepers_);
                help(lock, {&schedule_, nullptr}); // the pump's task may be among those that were left
            } else if (held_up() && !helped_behind && unlocked(lock, help_behind)) {
                helped_behind = true; // for what they asked for before this thread could be handed it
            } else if (Queueing && held_up() && arena_wait::possible()) {
                return false;
            } else if (!changed_.wait_until(lock, in_a_hurry_ ? deadline : patient_until, called) &&
                       clock::now() < deadline && !std::exchange(in_a_hurry_, true)) {
                help(lock, {&schedule_, nullptr}); // it asks for the other ring
            }
        }
        return true;
    }

    /// A queueing node need not: it can queue, and does where fewer tasks could be taken up.
    [[nodiscard]] static bool may_take_up_tasks() noexcept {
        return arena_wait::possible() && !(Queueing && arena_wait::is_deep());
    }

    /// What `call` returns, called without the lock.
    template <class Call>
    static bool unlocked(std::unique_lock<std::mutex>& lock, Call& call) {
        lock.unlock();
        const bool answer = call();
        lock.lock();
        return answer;
    }

    /// Runs a pump here, if nobody else does.
    void help(std::unique_lock<std::mutex>& lock, wanted_pump wanted) {
        lock.unlock();
        {
            const held_message graph(hold_); // an exception in here must find the graph waiting for it
            // Another node's pump is run to its end: this thread may sleep again.
            wanted.run_here(wanted.schedule == &schedule_ ? pump_schedule::runner::helper
                                                          : pump_schedule::runner::guest);
        }
        lock.lock();
    }

    /// Who leaves hands on what was asked of it.
    void hand_on(std::unique_lock<std::mutex>& lock) {
        if (wanted_.empty()) {
            return;
        }
        if (sleepers_.load() > 0) {
            changed_.notify_one();
            return;
        }
        while (!wanted_.empty()) {
            const wanted_pump one = wanted_.front();
            wanted_.pop_front();
            lock.unlock();
            one.leave_to_task();
            lock.lock();
        }
    }

    /// That there is room. With the mutex held.
    void tell_waiters() {
        waiters_.store(0);
        in_a_hurry_ = false;
        ++room_signals_;
        changed_.notify_all();
        arena_waits_.release();
    }
    /// They look again what there is to do: something else may hold up the node by now.
    void wake_arena_waits() {
        if (arena_waits_.any()) {
            const std::scoped_lock lock(mutex_);
            arena_waits_.release();
        }
    }

    /// What came in: nothing; something; or something, and there is no room for the next.
    enum class admission { none, some, last };

    /// Several at once, as the lock is that of the producers too. A node that rejects leaves it to them.
    admission admit_from_queue() {
        if constexpr (!Queueing) {
            return admission::none;
        }
        std::unique_lock lock(mutex_);
        queue_.taken(std::exchange(filling_, 0));
        const std::size_t most = std::min(queue_.refill(), Stream::most_reserved_at_once);
        if (most == 0) {
            return admission::none;
        }
        const auto run = stream_->try_reserve_run(
            [this](std::size_t i) -> const Input& { return *queue_.at(i).message; }, most);
        filling_ = run.count;
        for (std::size_t i = 0; i < run.count; ++i) {
            // NOLINTNEXTLINE(performance-move-const-arg,readability-static-accessed-through-instance)
            on_the_way_.arrived(std::move(queue_.at(i).waiters));
        }
        lock.unlock();
        for (std::uint32_t i = 0; i < run.count; ++i) {
            stream_->fill(run.first + i, *queue_.at(i).message);
            queue_.at(i).message.reset();
        }
        // The next call notes that they have left.
        return run.count == 0 ? admission::none : run.count < most ? admission::last : admission::some;
    }

    bool admit_from_predecessor(pump_schedule::runner by) {
        if (predecessors_.empty() || !start_pulling()) {
            return false;
        }
        try {
            return pull(by);
        } catch (...) { // the predecessor's, or the message's
            stop_pulling();
            throw;
        }
    }

    bool pull(pump_schedule::runner by) {
        Input message{};
        message_waiters waiters;
        held_message one(hold_);
        // A predecessor may spawn a task for being told to push, which is to lie above the pump's.
        const bool with_task = by == pump_schedule::runner::task && predecessors_.soon_empty();
        if (with_task) {
            schedule_.spawn_beneath();
        }
        if (!predecessors_.try_get(message, waiters)) {
            turned_back_ = with_task;
            stop_pulling();
            return false;
        }
        std::unique_lock lock(mutex_);
        const auto number = stream_->try_reserve(message);
        pulling_ = false;
        // NOLINTNEXTLINE(performance-move-const-arg,readability-static-accessed-through-instance)
        on_the_way_.arrived(std::move(waiters));
        lock.unlock();
        one.keep();
        // There is room: nobody else may take the last place while pulling_ is set.
        stream_->fill(number.value(), message);
        turned_back_ = predecessors_.turn_back_emptied() && with_task;
        return true;
    }

    bool start_pulling() {
        const std::scoped_lock lock(mutex_);
        pulling_ = queue_.empty() && stream_->has_room(1);
        return pulling_;
    }
    void stop_pulling() {
        const std::scoped_lock lock(mutex_);
        pulling_ = false;
    }

    wait_hold& hold_;
    predecessors<Input>& predecessors_;
    pump_schedule& schedule_;
    std::unique_ptr<Stream>& stream_;

    [[maybe_unused]] nodes::cache_line_gap putting_{};
    mutable std::mutex mutex_;
    queue queue_;                     ///< of a queueing node: what came when there was no room
    std::size_t filling_ = 0;         ///< so many of the first of the queue have their numbers already
    bool pulling_ = false;            ///< the pump is fetching a message, for which a place must remain
    std::atomic<bool> closed_{false}; ///< see close; changes under mutex_
    bool turned_back_ = false;        ///< the pump's: see may_leave_to_task
    [[no_unique_address]] waiters_on_the_way on_the_way_;

    std::atomic<std::size_t> waiters_{0};  ///< callers of put that wait for a signal; changes under mutex_
    std::atomic<std::size_t> sleepers_{0}; ///< those of them that sleep, or are about to
    bool in_a_hurry_ = false;              ///< one of them has waited in vain for a late ring
    std::deque<wanted_pump> wanted_;       ///< for sleepers to run
    std::uint64_t room_signals_ = 0;
    std::uint64_t held_up_signals_ = 0;
    std::condition_variable changed_; ///< room, or a pump is wanted
    arena_waits arena_waits_;         ///< those who take up tasks meanwhile
};

} // namespace forkflow::graph
