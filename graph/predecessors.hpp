// SPDX-License-Identifier: MIT
// The predecessors whose edge was turned round because the node refused: it asks them as soon as it has room.
#pragma once

#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/protocol.hpp>

#include <algorithm>
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
    }
    void remove(sender& from) {
        const std::scoped_lock lock(mutex_);
        take_off(from);
    }
    [[nodiscard]] bool empty() const {
        const std::scoped_lock lock(mutex_);
        return waiting_.empty();
    }

    /// Gets one message from whoever has one. Edges to those that have none are turned back.
    [[nodiscard]] bool try_get(Input& message, message_waiters& waiters) {
        while (sender* const from = next()) {
            if (pull(*from, message, waiters)) {
                return true;
            }
            turn_back(*from);
        }
        return false;
    }

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
};

} // namespace forkflow::graph
