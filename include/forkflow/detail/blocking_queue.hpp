// SPDX-License-Identifier: MIT
// The stream as a queue: threads that wait for room, for the next outcome, or for everything to have been
// run.
#pragma once

#include <forkflow/detail/message_stream.hpp>
#include <forkflow/get_result.hpp>
#include <forkflow/nodes/ready_descriptor.hpp>
#include <forkflow/nodes/room_ring.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <utility>

namespace forkflow::detail {

/// What ordered_process_queue does, whose documentation says what is promised.
///
/// Everybody works for himself as long as he can, and for others before he leaves: who takes an outcome hands
/// on what the next sleeper waits for, or has registered for it. So whenever a lock is free, for each kind of
/// sleepers one of the two holds: what they wait for is not there, and the stream will call on_progress when
/// it is; or one of them has been woken.
///
/// Locks: `arriving_` orders arrivals and is the putters'; the stream's `collecting` is the getters'. Nobody
/// holds both.
template <class Input, class Output>
class blocking_queue {
public:
    using time_point = std::chrono::steady_clock::time_point;

    template <class Body>
    blocking_queue(pool_options options, Body body)
        : stream_(std::move(options), std::move(body), [this] { on_progress(); }) {}
    ~blocking_queue() { stream_.stop(); }
    blocking_queue(const blocking_queue&) = delete;
    blocking_queue& operator=(const blocking_queue&) = delete;

    bool put_until(const Input& message, time_point deadline) {
        std::unique_lock lock(arriving_);
        for (bool in_time = true;; in_time = wait_for_room(lock, deadline)) {
            const auto number = closed_.load() ? std::nullopt : try_reserve(message);
            if (number || closed_.load() || !in_time) {
                hand_on_room();
                lock.unlock();
                if (number) {
                    stream_.fill(*number, message);
                }
                return number.has_value();
            }
        }
    }

    buffer make_buffer(std::size_t bytes) { return stream_.make_buffer(bytes); }
    std::optional<buffer> make_buffer_until(std::size_t bytes, time_point deadline) {
        return stream_.make_buffer_until(bytes, deadline);
    }

    get_result<Output> get_until(time_point deadline) {
        std::unique_lock lock(stream_.collecting());
        std::optional<taken_outcome<Output>> outcome;
        bool has_looked = false;
        try {
            for (bool in_time = true; !take(outcome) && !ended() && in_time;) {
                in_time = wait_for_outcome(lock, deadline, has_looked);
            }
        } catch (...) {
            hand_on_after_get(lock, true); // of room, if it has left, or of the outcome, if it is still there
            throw;
        }
        const get_status status = outcome   ? get_status::outcome
                                  : ended() ? get_status::ended
                                            : get_status::timed_out;
        hand_on_after_get(lock, outcome.has_value());
        return unwrapped(std::move(outcome), status);
    }

    bool join_until(time_point deadline) {
        std::unique_lock lock(stream_.collecting());
        const std::uint64_t all = taken_ + stream_.in_flight();
        ++joiners_;
        bool has_looked = false;
        for (bool in_time = true; taken_ < all && in_time;) {
            in_time = set_aside_next() || wait_for_outcome(lock, deadline, has_looked);
        }
        while (taken_ < all && set_aside_next()) { // came at the last moment
        }
        --joiners_;
        const bool in_time = taken_ >= all;
        lock.unlock();
        if (sleeping_putters_.load() > 0) { // what was set aside takes no bytes of the window any more
            const std::scoped_lock arriving(arriving_);
            hand_on_room();
        }
        return in_time;
    }

    void close() {
        {
            const std::scoped_lock lock(arriving_);
            closed_.store(true);
            room_.notify_all();
        }
        stream_.end_waits_for_buffers();
        const std::scoped_lock lock(stream_.collecting());
        if (watchers_.load() > 0) {
            hand_on_outcome();
        }
    }

    [[nodiscard]] bool closed() const noexcept { return closed_.load(); }

    [[nodiscard]] bool alive() const {
        stream_.collecting().give_way();
        const std::scoped_lock lock(stream_.collecting());
        return !ended();
    }

    [[nodiscard]] int readable_descriptor() {
        const std::scoped_lock lock(stream_.collecting());
        if (!readable_) {
            readable_.emplace();
            watchers_.fetch_add(1); // for good
            hand_on_outcome();
        }
        return readable_->get();
    }

    [[nodiscard]] statistics snapshot() const {
        stream_.collecting().give_way();
        return stream_.snapshot();
    }

private:
    using kept_outcomes = std::list<std::optional<taken_outcome<Output>>>;

    // --- putters, with arriving_ held

    std::optional<nodes::sequence> try_reserve(const Input& message) {
        return set_aside_fills_bound() ? std::nullopt : stream_.try_reserve(message);
    }

    /// Sleeps until there may be room. False: the deadline has passed.
    bool wait_for_room(std::unique_lock<std::mutex>& lock, time_point deadline) {
        sleeping_putters_.fetch_add(1); // before the last look
        lock.unlock();
        let_workers_go_on();
        lock.lock();
        const time_point now = std::chrono::steady_clock::now();
        const time_point patient_until = std::min(deadline, now + nodes::late_ring_patience);
        bool in_time = now < deadline && sleep_until_room(lock, patient_until);
        if (!in_time && patient_until < deadline) {
            ++in_a_hurry_;
            in_time = sleep_until_room(lock, deadline);
            --in_a_hurry_;
        }
        sleeping_putters_.fetch_sub(1);
        return in_time;
    }

    /// False: it is `end`.
    bool sleep_until_room(std::unique_lock<std::mutex>& lock, time_point end) {
        return closed_.load() || room_or_registered() ||
               room_.wait_until(lock, end) == std::cv_status::no_timeout;
    }

    /// Wakes a sleeper if there is room for one more, or sees to it that on_progress is called.
    void hand_on_room() {
        if (sleeping_putters_.load() > 0 && room_or_registered()) {
            room_.notify_one();
        }
    }

    bool room_or_registered() {
        // What was set aside makes room when it is got, and who gets it hands on.
        return !set_aside_fills_bound() &&
               !stream_.arm_for_room(in_a_hurry_ > 0 ? nodes::room_ring::soon : nodes::room_ring::late);
    }

    /// With no lock held: workers whose results are admitted by what was taken until now publish them.
    void let_workers_go_on() {
        const std::scoped_lock lock(stream_.collecting());
        hand_on_outcome();
    }

    // --- getters, with collecting held

    /// Unlocks. `took`: one has left.
    void hand_on_after_get(std::unique_lock<nodes::polite_mutex>& lock, bool took) {
        // Read by a write: a putter that counts itself in later finds the room that was made here.
        const bool putters_sleep = took && sleeping_putters_.fetch_add(0) > 0;
        if (watchers_.load() > 0 || putters_sleep) {
            hand_on_outcome();
        }
        const bool was_full = inside() + 1 == bound() || stream_.options().window_bytes != 0;
        lock.unlock();
        if (putters_sleep && was_full) { // elsewise room comes when a worker is through, who rings
            const std::scoped_lock arriving(arriving_);
            hand_on_room();
        }
    }

    /// Takes the next outcome into `outcome`; an Output may be nothing that can be assigned. False: it is not
    /// there.
    bool take(std::optional<taken_outcome<Output>>& outcome) {
        if (set_aside_.empty()) {
            const bool there = stream_.try_take(outcome);
            taken_ += there ? 1U : 0U;
            return there;
        }
        kept_outcomes first; // out of the list before it is moved from, which may throw
        first.splice(first.end(), set_aside_, set_aside_.begin());
        set_aside_count_.store(set_aside_.size());
        outcome.emplace(std::move(*first.front()));
        return true;
    }

    /// Takes the next outcome out of the window and keeps it for a getter. False: it is not there.
    bool set_aside_next() {
        kept_outcomes next(1);
        if (!stream_.try_take(next.front())) {
            return false;
        }
        ++taken_;
        set_aside_.splice(set_aside_.end(), next);
        set_aside_count_.store(set_aside_.size());
        if (watchers_.load() > 0) {
            hand_on_outcome();
        }
        return true;
    }

    /// Looks for a moment (once: `has_looked` is the caller's), then sleeps until an outcome may be there, or
    /// was taken. False: the deadline has passed.
    bool wait_for_outcome(std::unique_lock<nodes::polite_mutex>& lock, time_point deadline,
                          bool& has_looked) {
        if (std::chrono::steady_clock::now() >= deadline) {
            return false;
        }
        if (!std::exchange(has_looked, true)) {
            (void)stream_.wait_a_moment(lock, deadline);
            return true; // the lock was free: whatever the caller saw may have changed
        }
        watchers_.fetch_add(1);
        const bool in_time =
            !stream_.rest() || outcome_.wait_until(lock, deadline) == std::cv_status::no_timeout;
        watchers_.fetch_sub(1);
        return in_time;
    }

    /// Lets workers go on. Wakes those who wait if there is another outcome or none will come any more;
    /// otherwise sees to it that on_progress is called.
    void hand_on_outcome() {
        const bool there = !stream_.rest() || !set_aside_.empty();
        const bool at_end = ended();
        if (at_end || joiners_ > 0) { // who joins waits for what others take, too
            outcome_.notify_all();
        } else if (there) {
            outcome_.notify_one();
        }
        if (readable_) {
            readable_->set(there || at_end);
        }
    }

    [[nodiscard]] bool ended() const {
        return closed_.load() && set_aside_.empty() && stream_.in_flight() == 0;
    }

    // --- both

    [[nodiscard]] std::size_t bound() const { return stream_.options().requests + stream_.options().window; }
    [[nodiscard]] std::size_t inside() const { return stream_.in_flight() + set_aside_count_.load(); }
    [[nodiscard]] bool set_aside_fills_bound() const {
        return set_aside_count_.load() > 0 && inside() >= bound();
    }

    /// The stream's thread.
    void on_progress() {
        if (watchers_.load() > 0) {
            const std::scoped_lock lock(stream_.collecting());
            hand_on_outcome();
        }
        if (sleeping_putters_.load() > 0) {
            const std::scoped_lock lock(arriving_);
            hand_on_room();
        }
    }

    static get_result<Output> unwrapped(std::optional<taken_outcome<Output>> outcome, get_status status) {
        if (!outcome) {
            return status;
        }
        if (outcome->failed) {
            throw process_error(std::move(*outcome->failed));
        }
        return std::move(*outcome->value);
    }

    std::mutex arriving_;
    std::condition_variable room_;
    std::atomic<std::size_t> sleeping_putters_{0};
    std::size_t in_a_hurry_ = 0; ///< those of them that have waited in vain for a late ring; with arriving_
    std::atomic<bool> closed_{false}; ///< set with arriving_ held: no number is given afterwards

    std::condition_variable_any outcome_;
    std::atomic<std::size_t> watchers_{0}; ///< who waits for the next outcome; the descriptor counts as one
    std::size_t joiners_ = 0;
    std::uint64_t taken_ = 0;                     ///< how many outcomes were taken out of the window
    kept_outcomes set_aside_;                     ///< by join, in order, older than all in the window
    std::atomic<std::size_t> set_aside_count_{0}; ///< for putters
    std::optional<nodes::ready_descriptor> readable_;

    message_stream<Input, Output> stream_; ///< last: its thread calls us, and is gone first
};

} // namespace forkflow::detail
