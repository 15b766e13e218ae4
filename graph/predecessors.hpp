// SPDX-License-Identifier: MIT
// The predecessors whose edge was turned round because the node refused: it asks them as soon as it has room.
#pragma once

#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/protocol.hpp>
#include <forkflow/graph/pump_schedule.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

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
        waiting_.push_back({&from, is_input_node(from)});
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
        std::vector<waiting> asked;
        {
            const std::scoped_lock lock(mutex_);
            asked = waiting_;
        }
        return std::any_of(asked.begin(), asked.end(), [&](const waiting& one) {
            auto* const node = dynamic_cast<has_sleepers*>(one.from);
            return node != nullptr && node->hand_to_sleeper(needed, hold, far - 1);
        });
    }

    /// Gets one message from whoever has one. Edges to those that have none are turned back. For one thread
    /// at a time.
    [[nodiscard]] bool try_get(Input& message, message_waiters& waiters) {
        emptied_ = nullptr;
        while (const waiting next_one = next()) {
            if (pull(*next_one.from, message, waiters)) {
                ++got_in_a_row_;
                emptied_ = next_one.has_one ? next_one.from : nullptr;
                return true;
            }
            turn_back(*next_one.from);
        }
        return false;
    }

    /// To be called once the message that try_get got has its number: turns back the edge to an input_node,
    /// which has no other one. True if it did.
    ///
    /// Asking it again instead would spawn a task that makes the next, and turning its edge back a second
    /// one. And who touches an input_node while its body runs waits for the body, as that is called under the
    /// node's lock; so also a body that waits for room in this node. An input_node whose edge was turned when
    /// it was refused makes nothing until it is asked; unless it has other successors, or was asked while it
    /// was still being refused, and a second task of it has not run since.
    bool turn_back_emptied() {
        sender* const from = std::exchange(emptied_, nullptr);
        if (from != nullptr) {
            turn_back(*from);
        }
        return from != nullptr;
    }

    /// True if edges are likely to be turned back next: it was so before the last message or the one before,
    /// as with an input_node. Buffers give many. For who calls try_get.
    [[nodiscard]] bool soon_empty() const noexcept { return got_in_a_row_ < 2; }

    /// Turns all edges back.
    void turn_back() {
        while (const waiting one = next()) {
            turn_back(*one.from);
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
    struct waiting {
        sender* from = nullptr;
        bool has_one = false; ///< an input_node, which keeps the one message that was refused
        explicit operator bool() const noexcept { return from != nullptr; }
    };

    static bool is_input_node(sender& from) {
        if constexpr (std::copyable<Input>) { // as oneTBB wants it of an input_node's messages
            return dynamic_cast<tbb::flow::input_node<Input>*>(&from) != nullptr;
        }
        return false;
    }

    /// Whose turn it is. It stays on the list while it is asked, so that it can be removed meanwhile.
    waiting next() {
        const std::scoped_lock lock(mutex_);
        if (waiting_.empty()) {
            return {};
        }
        std::rotate(waiting_.begin(), std::next(waiting_.begin()), waiting_.end());
        return waiting_.back();
    }

    /// Takes one edge from this sender off the list, with the lock held; false: there is none.
    bool take_off(sender& from) {
        const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                        [&](const waiting& one) { return one.from == &from; });
        if (found == waiting_.end()) {
            return false;
        }
        waiting_.erase(found);
        count_.store(waiting_.size());
        with_sleepers_ -= dynamic_cast<has_sleepers*>(&from) != nullptr ? 1 : 0;
        return true;
    }

    void turn_back(sender& from) {
        got_in_a_row_ = 0;
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
    std::vector<waiting> waiting_;
    std::atomic<std::size_t> count_{0}; ///< of those who wait
    std::size_t got_in_a_row_ = 0;      ///< since edges were turned back; as the next, of who calls try_get
    sender* emptied_ = nullptr;         ///< an input_node that gave its message to the last try_get
    std::atomic<int> with_sleepers_{0}; ///< of those that are has_sleepers
};

} // namespace forkflow::graph
