// SPDX-License-Identifier: MIT
// The predecessors whose edge was turned round because the node refused: it asks them as soon as it has room.
#pragma once

#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/protocol.hpp>
#include <forkflow/graph/pump_schedule.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>

namespace forkflow::graph {

/// Asked in turn. Thread-safe; never calls a predecessor with its lock held.
template <class Input>
class predecessors {
public:
    using sender = tbb::flow::sender<Input>;

    /// `owner`: the node to which the edges lead.
    explicit predecessors(tbb::flow::receiver<Input>& owner)
        : owner_(owner) {}

    void add(sender& from) {
        const std::scoped_lock lock(mutex_);
        waiting_.push_back(&from);
        count_.store(waiting_.size());
        with_sleepers_ += dynamic_cast<has_sleepers*>(&from) != nullptr ? 1 : 0;
    }
    void remove(sender& from) {
        const std::scoped_lock lock(mutex_);
        take_off(from);
    }
    [[nodiscard]] bool empty() const noexcept { return count_.load() == 0; }

    /// As in has_sleepers: asks those of them that may have some.
    bool hand_to_sleeper(pump_schedule& needed, wait_hold& hold, int far) {
        if (with_sleepers_.load() == 0 || far == 0) {
            return false;
        }
        std::deque<sender*> asked;
        {
            const std::scoped_lock lock(mutex_);
            asked = waiting_;
        }
        return std::any_of(asked.begin(), asked.end(), [&](sender* from) {
            auto* const node = dynamic_cast<has_sleepers*>(from);
            return node != nullptr && node->hand_to_sleeper(needed, hold, far - 1);
        });
    }

    /// Gets one message from whoever has one. Edges to those that have none are turned back. For one thread
    /// at a time.
    [[nodiscard]] bool try_get(Input& message, message_waiters& waiters) {
        while (sender* const from = next()) {
            if (pull(*from, message, waiters)) {
                ++got_in_a_row_;
                return true;
            }
            got_in_a_row_ = 0;
            turn_back(*from);
        }
        return false;
    }

    /// True if try_get is likely to turn edges back: it did so before the last message or the one before, as
    /// with an input_node, which has one at a time. Buffers give many. For who calls try_get.
    [[nodiscard]] bool soon_empty() const noexcept { return got_in_a_row_ < 2; }

    /// Turns all edges back.
    void turn_back() {
        while (sender* const from = next()) {
            turn_back(*from);
        }
    }
    /// Forgets all edges.
    void clear() {
        const std::scoped_lock lock(mutex_);
        waiting_.clear();
        count_.store(0);
        with_sleepers_.store(0);
    }

private:
    /// Whose turn it is. It stays on the list while it is asked, so that it can be removed meanwhile.
    sender* next() {
        const std::scoped_lock lock(mutex_);
        if (waiting_.empty()) {
            return nullptr;
        }
        sender* const first = waiting_.front();
        waiting_.pop_front();
        waiting_.push_back(first);
        return first;
    }

    /// Takes one edge from this sender off the list, with the lock held; false: there is none.
    bool take_off(sender& from) {
        const auto found = std::find(waiting_.begin(), waiting_.end(), &from);
        if (found == waiting_.end()) {
            return false;
        }
        waiting_.erase(found);
        count_.store(waiting_.size());
        with_sleepers_ -= dynamic_cast<has_sleepers*>(&from) != nullptr ? 1 : 0;
        return true;
    }

    void turn_back(sender& from) {
        {
            const std::scoped_lock lock(mutex_);
            if (!take_off(from)) {
                return;
            }
        }
        let_push(from, owner_);
    }

    tbb::flow::receiver<Input>& owner_;
    mutable std::mutex mutex_;
    std::deque<sender*> waiting_;
    std::atomic<std::size_t> count_{0}; ///< of those who wait
    std::size_t got_in_a_row_ = 0;      ///< since edges were turned back
    std::atomic<int> with_sleepers_{0}; ///< of those that are has_sleepers
};

} // namespace forkflow::graph
