// SPDX-License-Identifier: MIT
// The edges to a node's successors: each gets every outcome, in order, also one that refuses for a while.
#pragma once

#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/protocol.hpp>
#include <forkflow/graph/pump_schedule.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkflow::graph {

/// A loss-free broadcast. One outcome at a time is offered to all successors; while one of them has not taken
/// it, the next waits. A successor that refuses is given its own small sender to ask (try_get does not say
/// who asks), and asks when it can. A successor that refuses and never asks misses the outcome, as with any
/// node of oneTBB; so does one that refuses what cannot be copied, as it could not be kept for it.
///
/// `offer` and `offer_again` are for one thread at a time; all else is thread-safe. No successor is called
/// with the lock held. While no successor refuses, an offer costs the calls, and takes no lock: it goes by a
/// list of the edges that is made anew once they have changed.
template <class Output>
class successors {
public:
    using receiver = tbb::flow::receiver<Output>;

    using find_sleeper = std::function<bool(pump_schedule&, wait_hold&, int)>;

    /// `delivered` is called once all have taken the outcome, unless offer itself says so; `wanted` when a
    /// successor that had been asked to pull wants to be pushed to again; `hand_to_sleeper` as in
    /// has_sleepers. All from any thread.
    successors(std::function<void()> delivered, std::function<void()> wanted, find_sleeper hand_to_sleeper)
        : delivered_(std::move(delivered))
        , wanted_(std::move(wanted))
        , hand_to_sleeper_(std::move(hand_to_sleeper)) {}

    /// As oneTBB's nodes do: successors with a priority first, and those that count predecessors are told.
    void add(receiver& to) {
        const auto added = std::make_shared<edge>(*this, to);
        {
            const std::scoped_lock lock(mutex_);
            edges_.insert(asked_of_receivers<Output>::has_priority(to) ? edges_.begin() : edges_.end(),
                          added);
            edges_changed();
            added->since = changes_.load();
        }
        if (asked_of_receivers<Output>::counts_predecessors(to)) {
            let_pull(to, *added);
        }
    }

    void remove(receiver& to) {
        std::shared_ptr<edge> removed;
        bool last = false;
        bool known = false; // to the successor
        {
            const std::scoped_lock lock(mutex_);
            for (auto at = edges_.begin(); at != edges_.end(); ++at) {
                if (&(*at)->to == &to) {
                    removed = *at;
                    edges_.erase(at);
                    edges_changed();
                    retire(removed);
                    last = settle(*removed);
                    known = removed->pulling || asked_of_receivers<Output>::counts_predecessors(to);
                    break;
                }
            }
        }
        if (known) {
            forget(to, *removed);
        }
        if (last) {
            delivered_();
        }
    }

    /// True while an outcome waits for a successor, or is just being offered.
    [[nodiscard]] bool busy() const noexcept { return offering_.load() || owed_.load() > 0; }

    /// Runs the pumps of the nodes that have not taken the outcome. False: nobody is owed it yet.
    bool help_behind(int far) {
        std::vector<std::shared_ptr<edge>> waited_for;
        {
            const std::scoped_lock lock(mutex_);
            std::copy_if(edges_.begin(), edges_.end(), std::back_inserter(waited_for),
                         [](const auto& to) { return to->owed; });
        }
        for (const auto& one : waited_for) {
            if (auto* const node = dynamic_cast<can_be_helped*>(&one->to); node != nullptr && far > 0) {
                node->help(far - 1);
            }
        }
        return !waited_for.empty();
    }

    /// Offers an outcome to all. True if all have taken it (or there is nobody); else `delivered` will be
    /// called.
    [[nodiscard]] bool offer(const Output& outcome, const message_waiters& waiters) {
        offering_.store(true, std::memory_order_relaxed); // until the end, or drop after an exception
        if (changed()) {
            look_at_edges();
        }
        std::size_t taken = 0;
        edge* refusing = nullptr;
        while (taken < pushed_to_.size() && refusing == nullptr && !changed()) {
            edge& next = *pushed_to_[taken];
            if (push(next.to, outcome, waiters)) {
                ++taken;
            } else {
                refusing = &next;
            }
        }
        const bool all = taken == pushed_to_.size() && all_pushed_to_;
        const bool settled = all || offer_to_rest(outcome, waiters, taken, refusing);
        offering_.store(false, std::memory_order_release); // busy() before this is but a late answer
        return settled;
    }

    /// Offers the outcome that waits once more to those that want to be pushed to. True if that settled it.
    [[nodiscard]] bool offer_again() {
        std::optional<kept> again;
        {
            const std::scoped_lock lock(mutex_);
            if constexpr (std::is_copy_constructible_v<Output>) {
                if (offered_ && next_owed() != nullptr) {
                    again.emplace(*offered_);
                }
            }
        }
        return again && push_to_owed(again->outcome, again->waiters);
    }

    /// Drops the outcome that waits. True if there was one.
    bool drop() {
        const std::scoped_lock lock(mutex_);
        for (const auto& to : edges_) {
            to->owed = to->reserved = false;
        }
        offered_.reset();
        const bool cut_short = offering_.exchange(false); // by an exception
        return owed_.exchange(0) > 0 || cut_short;
    }

    /// Forgets all edges, and what waits. True if something waited.
    bool clear() {
        const bool dropped = drop();
        const std::scoped_lock lock(mutex_);
        for (const auto& to : edges_) {
            retire(to);
        }
        edges_.clear();
        edges_changed();
        return dropped;
    }

private:
    /// The outcome that is offered.
    struct kept {
        Output outcome;
        [[no_unique_address]] message_waiters waiters;
    };

    /// One edge: what the successor asks once it has refused.
    struct edge final : tbb::flow::sender<Output>, has_sleepers {
        edge(successors& from, receiver& successor)
            : owner(from)
            , to(successor) {}

        bool try_get(Output& outcome) override { return owner.give(*this, outcome); }
        bool try_reserve(Output& outcome) override { return owner.reserve(*this, outcome); }
        bool try_release() override { return owner.end_reservation(*this, false); }
        bool try_consume() override { return owner.end_reservation(*this, true); }
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
        bool try_get(Output& outcome, message_metainfo& waiters) override {
            return owner.give(*this, outcome, &waiters);
        }
        bool try_reserve(Output& outcome, message_metainfo& waiters) override {
            return owner.reserve(*this, outcome, &waiters);
        }
#endif

        bool register_successor(receiver& /*successor*/) override {
            owner.turn_back(*this);
            return true;
        }
        bool remove_successor(receiver& successor) override {
            owner.remove(successor);
            return true;
        }

        bool hand_to_sleeper(pump_schedule& needed, wait_hold& hold, int far) override {
            return owner.hand_to_sleeper_(needed, hold, far);
        }

        successors& owner;
        receiver& to;
        std::uint64_t since = 0; ///< `changes_` when it was added
        bool owed = false;       ///< has not taken the outcome that is offered
        bool pulling = false;    ///< it asks; else it is pushed to
        bool reserved = false;   ///< it has seen the outcome, and will take it or not
        bool asked = false;      ///< it has pulled at some time
    };

    /// A receiver that pulls may be asking the edge at this moment. With the lock held.
    void retire(const std::shared_ptr<edge>& removed) {
        if (removed->asked) {
            retired_.push_back(removed);
        }
    }

    /// With the lock held.
    [[nodiscard]] std::shared_ptr<edge> next_owed() const {
        for (const auto& to : edges_) {
            if (to->owed && !to->pulling) {
                return to;
            }
        }
        return nullptr;
    }
    [[nodiscard]] std::shared_ptr<edge> next_to_push() const {
        const std::scoped_lock lock(mutex_);
        return next_owed();
    }

    /// Whoever goes by a list of the edges makes it anew. With the lock held.
    void edges_changed() noexcept {
        changes_.fetch_add(1);
    }
    /// For the offering thread.
    [[nodiscard]] bool changed() const noexcept {
        return looked_at_ != changes_.load();
    }

    void look_at_edges() {
        const std::scoped_lock lock(mutex_);
        looked_at_ = changes_.load();
        pushed_to_.clear();
        std::copy_if(edges_.begin(), edges_.end(), std::back_inserter(pushed_to_),
                     [](const auto& to) { return !to->pulling; });
        all_pushed_to_ = pushed_to_.size() == edges_.size();
    }

    /// The first `taken` of those that are pushed to have the outcome; `refusing`, if any, has just refused
    /// it. True if all are settled in the end.
    bool offer_to_rest(const Output& outcome, const message_waiters& waiters, std::size_t taken,
                       edge* refusing) {
        {
            const std::scoped_lock lock(mutex_);
            offered_.reset();
            std::size_t owed = 0;
            for (const auto& to : edges_) {
                const auto end_of_taken = pushed_to_.begin() + static_cast<std::ptrdiff_t>(taken);
                // One added meanwhile is not owed what others are just getting: it may be the same
                // receiver's.
                to->owed = to->since <= looked_at_ &&
                           std::find(pushed_to_.begin(), end_of_taken, to) == end_of_taken;
                owed += to->owed ? 1U : 0U;
                if (to->owed && to->pulling) {
                    keep(outcome, waiters);
                }
            }
            owed_.store(owed);
            offering_.store(false); // from here on owed_ tells all
            if (owed == 0) {        // the others have been removed
                return true;
            }
        }
        if (refusing != nullptr && refused(*refusing, outcome, waiters)) {
            return true;
        }
        return push_to_owed(outcome, waiters);
    }

    /// Pushes to all that are owed the outcome and do not pull.
    bool push_to_owed(const Output& outcome, const message_waiters& waiters) {
        while (const std::shared_ptr<edge> next = next_to_push()) {
            if (push(next->to, outcome, waiters) ? pushed(*next) : refused(*next, outcome, waiters)) {
                return true;
            }
        }
        return false;
    }

    /// The successor has taken what was pushed, or is to go without. True if it was the last.
    bool pushed(edge& to) {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(to.pulling, false)) {
            edges_changed();
        }
        return settle(to);
    }

    /// The successor has refused what was pushed. True if that settles the outcome: it was the last, and
    /// never asks.
    bool refused(edge& to, const Output& outcome, const message_waiters& waiters) {
        return !start_pulling(to, outcome, waiters) && pushed(to);
    }

    /// False: the successor never asks.
    bool start_pulling(edge& to, const Output& outcome, const message_waiters& waiters) {
        if constexpr (std::is_copy_constructible_v<Output>) {
            { // before the successor hears of it: it may ask at once
                const std::scoped_lock lock(mutex_);
                if (!to.owed) { // it was removed meanwhile
                    return true;
                }
                keep(outcome, waiters); // first, as a copy may throw
                to.pulling = to.asked = true;
                edges_changed();
            }
            try {
                return let_pull(to.to, to);
            } catch (...) { // it has not heard of it
                const std::scoped_lock lock(mutex_);
                to.pulling = false;
                edges_changed();
                throw;
            }
        }
        return false;
    }

    /// For those that pull. With the lock held.
    void keep(const Output& outcome, const message_waiters& waiters) {
        if constexpr (std::is_copy_constructible_v<Output>) {
            if (!offered_) {
                offered_.emplace(kept{outcome, waiters});
            }
        }
    }

    /// Notes that `by` has the outcome. True if it was the last. With the lock held.
    bool settle(edge& by) {
        if (!by.owed) {
            return false;
        }
        by.owed = by.reserved = false;
        if (owed_.fetch_sub(1) > 1) {
            return false;
        }
        offered_.reset();
        return true;
    }

    /// With the lock held. False: there is nothing for this edge; then nothing is touched.
    bool show([[maybe_unused]] edge& by, [[maybe_unused]] Output& outcome) {
        if constexpr (std::is_copy_constructible_v<Output>) {
            if (!by.owed || by.reserved) {
                return false;
            }
            if constexpr (std::is_copy_assignable_v<Output>) {
                outcome = offered_->outcome;
            } else { // receivers may ask for such types too
                std::destroy_at(&outcome);
                std::construct_at(&outcome, offered_->outcome);
            }
            return true;
        }
        return false;
    }

    template <class... Waiters>
    bool give(edge& by, Output& outcome, Waiters*... waiters) {
        bool last = false;
        {
            const std::scoped_lock lock(mutex_);
            if (!show(by, outcome)) {
                return false;
            }
            ((*waiters = offered_->waiters.handed_over()), ...);
            last = settle(by);
        }
        if (last) {
            delivered_();
        }
        return true;
    }

    template <class... Waiters>
    bool reserve(edge& by, Output& outcome, Waiters*... waiters) {
        const std::scoped_lock lock(mutex_);
        if (!show(by, outcome)) {
            return false;
        }
        ((*waiters = offered_->waiters.all()), ...); // kept waiting until the reservation is over
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
            edges_changed();
        }
        wanted_();
    }

    std::function<void()> delivered_;
    std::function<void()> wanted_;
    find_sleeper hand_to_sleeper_;
    mutable std::mutex mutex_;
    std::list<std::shared_ptr<edge>> edges_;
    std::vector<std::shared_ptr<edge>> retired_; ///< removed edges that a successor may still know
    std::optional<kept> offered_;                ///< set while an edge that pulls is owed it
    std::atomic<std::size_t> owed_{0};           ///< how many edges have not taken it
    std::atomic<bool> offering_{false};          ///< a successor may be being called
    std::atomic<std::uint64_t> changes_{1};      ///< of the edges, or of who pulls

    // The offering thread's own:
    std::uint64_t looked_at_ = 0;                  ///< `changes_` when the list was made
    std::vector<std::shared_ptr<edge>> pushed_to_; ///< the edges that do not pull
    bool all_pushed_to_ = true;                    ///< there are no others
};

} // namespace forkflow::graph
