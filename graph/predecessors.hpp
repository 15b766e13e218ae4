// SPDX-License-Identifier: MIT
// The predecessors whose edge was turned round because the node refused: it asks them as soon as it has room.
#pragma once

#include <forkflow/graph/protocol.hpp>

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
        std::erase(waiting_, &from);
    }
    [[nodiscard]] bool empty() const {
        const std::scoped_lock lock(mutex_);
        return waiting_.empty();
    }

    /// Gets one message from whoever has one. Edges to those that have none are turned back.
    [[nodiscard]] bool try_get(Input& message) {
        while (sender* const from = take_first()) {
            if (from->try_get(message)) {
                add(*from);
                return true;
            }
            let_push(*from, owner_);
        }
        return false;
    }

    /// Turns all edges back.
    void turn_back() {
        while (sender* const from = take_first()) {
            let_push(*from, owner_);
        }
    }
    /// Forgets all edges.
    void clear() {
        const std::scoped_lock lock(mutex_);
        waiting_.clear();
    }

private:
    sender* take_first() {
        const std::scoped_lock lock(mutex_);
        if (waiting_.empty()) {
            return nullptr;
        }
        sender* const first = waiting_.front();
        waiting_.pop_front();
        return first;
    }

    tbb::flow::receiver<Input>& owner_;
    mutable std::mutex mutex_;
    std::deque<sender*> waiting_;
};

} // namespace forkflow::graph
