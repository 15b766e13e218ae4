// SPDX-License-Identifier: MIT
// The edges to a node's successors: each gets every outcome, in order, also one that refuses for a while.
#pragma once

#include <forkflow/graph/protocol.hpp>

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace forkflow::graph {

/// A loss-free broadcast. One outcome at a time is offered to all successors; while one of them has not taken
/// it, the next waits. A successor that refuses is given its own small sender to ask (try_get does not say
/// who asks), and asks when it can. A successor that refuses and never asks misses the outcome, as with any
/// node of oneTBB.
///
/// `offer` and `offer_again` are for one thread at a time; all else is thread-safe. No successor is called
/// with the lock held.
template <class Output>
class successors {
public:
    using receiver = tbb::flow::receiver<Output>;

    /// `delivered` is called once all have taken the outcome, unless offer itself says so; `wanted` when a
    /// successor that had been asked to pull wants to be pushed to again. Both from any thread.
    successors(std::function<void()> delivered, std::function<void()> wanted)
        : delivered_(std::move(delivered))
        , wanted_(std::move(wanted)) {}

    void add(receiver& to) {
        const std::scoped_lock lock(mutex_);
        edges_.push_back(std::make_shared<edge>(*this, to));
    }

    void remove(receiver& to) {
        std::shared_ptr<edge> removed;
        bool last = false;
        bool pulling = false;
        {
            const std::scoped_lock lock(mutex_);
            for (auto at = edges_.begin(); at != edges_.end(); ++at) {
                if (&(*at)->to == &to) {
                    removed = *at;
                    edges_.erase(at);
                    retired_.push_back(removed); // its receiver may be asking it at this moment
                    last = settle(*removed);
                    pulling = removed->pulling;
                    break;
                }
            }
        }
        if (pulling) {
            forget(to, *removed);
        }
        if (last) {
            delivered_();
        }
    }

    /// True while an outcome waits for a successor.
    [[nodiscard]] bool busy() const {
        const std::scoped_lock lock(mutex_);
        return owed_ > 0;
    }

    /// Offers an outcome to all. True if all have taken it (or there is nobody); else `delivered` will be
    /// called.
    [[nodiscard]] bool offer(const Output& outcome) {
        {
            const std::scoped_lock lock(mutex_);
            offered_.reset();
            owed_ = edges_.size();
            for (const auto& to : edges_) {
                to->owed = true;
                if (to->pulling && !offered_) {
                    offered_.emplace(outcome);
                }
            }
            if (owed_ == 0) {
                return true;
            }
        }
        return push(outcome);
    }

    /// Offers the outcome that waits once more to those that want to be pushed to. True if that settled it.
    [[nodiscard]] bool offer_again() {
        std::optional<Output> outcome;
        {
            const std::scoped_lock lock(mutex_);
            outcome = offered_;
        }
        return outcome && push(*outcome);
    }

    /// Drops the outcome that waits. True if there was one.
    bool drop() {
        const std::scoped_lock lock(mutex_);
        for (const auto& to : edges_) {
            to->owed = to->reserved = false;
        }
        offered_.reset();
        return std::exchange(owed_, 0) > 0;
    }

    /// Forgets all edges, and what waits. True if something waited.
    bool clear() {
        const bool dropped = drop();
        const std::scoped_lock lock(mutex_);
        retired_.insert(retired_.end(), edges_.begin(), edges_.end());
        edges_.clear();
        return dropped;
    }

private:
    /// One edge: what the successor asks once it has refused.
    struct edge final : tbb::flow::sender<Output> {
        edge(successors& from, receiver& successor)
            : owner(from)
            , to(successor) {}

        bool try_get(Output& outcome) override { return owner.give(*this, outcome); }
        bool try_reserve(Output& outcome) override { return owner.reserve(*this, outcome); }
        bool try_release() override { return owner.end_reservation(*this, false); }
        bool try_consume() override { return owner.end_reservation(*this, true); }

        bool register_successor(receiver& /*successor*/) override {
            owner.turn_back(*this);
            return true;
        }
        bool remove_successor(receiver& successor) override {
            owner.remove(successor);
            return true;
        }

        successors& owner;
        receiver& to;
        bool owed = false;     ///< has not taken the outcome that is offered
        bool pulling = false;  ///< it asks; else it is pushed to
        bool reserved = false; ///< it has seen the outcome, and will take it or not
    };

    [[nodiscard]] std::shared_ptr<edge> next_to_push() {
        const std::scoped_lock lock(mutex_);
        for (const auto& to : edges_) {
            if (to->owed && !to->pulling) {
                return to;
            }
        }
        return nullptr;
    }

    bool push(const Output& outcome) {
        while (const std::shared_ptr<edge> next = next_to_push()) {
            bool missed = false;
            if (!next->to.try_put(outcome)) {
                start_pulling(*next, outcome); // before the successor hears of it: it may ask at once
                missed = !let_pull(next->to, *next);
                if (!missed) {
                    continue;
                }
            }
            const std::scoped_lock lock(mutex_);
            next->pulling = false;
            if (settle(*next)) {
                return true;
            }
        }
        return false;
    }

    void start_pulling(edge& to, const Output& outcome) {
        const std::scoped_lock lock(mutex_);
        to.pulling = true;
        if (to.owed && !offered_) { // not owed: it was removed meanwhile
            offered_.emplace(outcome);
        }
    }

    /// Notes that `by` has the outcome. True if it was the last. With the lock held.
    bool settle(edge& by) {
        if (!by.owed) {
            return false;
        }
        by.owed = by.reserved = false;
        if (--owed_ > 0) {
            return false;
        }
        offered_.reset();
        return true;
    }

    bool give(edge& by, Output& outcome) {
        bool last = false;
        {
            const std::scoped_lock lock(mutex_);
            if (!by.owed || by.reserved) {
                return false;
            }
            outcome = *offered_;
            last = settle(by);
        }
        if (last) {
            delivered_();
        }
        return true;
    }

    bool reserve(edge& by, Output& outcome) {
        const std::scoped_lock lock(mutex_);
        if (!by.owed || by.reserved) {
            return false;
        }
        outcome = *offered_;
        by.reserved = true;
        return true;
    }

    bool end_reservation(edge& by, bool consumed) {
        bool last = false;
        {
            const std::scoped_lock lock(mutex_);
            by.reserved = false;
            last = consumed && settle(by);
        }
        if (last) {
            delivered_();
        }
        return true;
    }

    void turn_back(edge& to) {
        {
            const std::scoped_lock lock(mutex_);
            to.pulling = false;
        }
        wanted_();
    }

    std::function<void()> delivered_;
    std::function<void()> wanted_;
    mutable std::mutex mutex_;
    std::list<std::shared_ptr<edge>> edges_;
    std::vector<std::shared_ptr<edge>> retired_; ///< removed edges that a successor may still know
    std::optional<Output> offered_;              ///< set while an edge that pulls is owed it
    std::size_t owed_ = 0;                       ///< how many edges have not taken it
};

} // namespace forkflow::graph
