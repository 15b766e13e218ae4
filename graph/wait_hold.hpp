// SPDX-License-Identifier: MIT
// What keeps graph::wait_for_all from returning while messages are on their way through a node.
#pragma once

#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

namespace forkflow::graph {

/// Ends a wait of the graph.
struct released_wait {
    void operator()(tbb::flow::graph* held) const { held->release_wait(); }
};

/// Counts the messages that a node has accepted and not yet handed on. While there is one, it holds one wait
/// of the graph, unless it is suspended; so the graph's own counter is touched only when the node turns busy
/// or idle.
///
/// Thread-safe. Steps between 0 and 1 are made under a lock, and the graph is held before the count shows it;
/// all others are one atomic step.
class wait_hold {
public:
    explicit wait_hold(tbb::flow::graph& held)
        : graph_(held) {}
    ~wait_hold() { clear(); }
    wait_hold(const wait_hold&) = delete;
    wait_hold& operator=(const wait_hold&) = delete;

    /// To be called before the message can be seen by anybody who might remove it.
    void add() {
        if (add_if_any()) {
            return;
        }
        const std::scoped_lock lock(turning_);
        if (!add_if_any()) {
            if (!suspended_.load()) {
                graph_.reserve_wait();
            }
            messages_.store(1);
        }
    }

    /// A wait of the graph beside the messages', which suspend() does not end; nullptr if the graph may be at
    /// rest: then whoever is no task of it must not touch it.
    [[nodiscard]] std::unique_ptr<tbb::flow::graph, released_wait> try_hold_graph() {
        const std::scoped_lock lock(turning_);
        if (suspended_.load() || count() == 0) {
            return nullptr;
        }
        graph_.reserve_wait();
        return std::unique_ptr<tbb::flow::graph, released_wait>(&graph_);
    }

    void remove(std::size_t messages = 1) {
        if (messages == 0 || remove_if_more_than(messages)) {
            return;
        }
        const std::scoped_lock lock(turning_);
        std::size_t seen = count();
        while (!messages_.compare_exchange_weak(seen, seen > messages ? seen - messages : 0)) {
        }
        if (seen > 0 && seen <= messages && !suspended_.load()) {
            graph_.release_wait();
        }
    }

    /// Removes all.
    void clear() { remove(count()); }

    /// Lets the graph come to rest although there are messages: they wait for a successor, as in any buffer.
    void suspend() {
        const std::scoped_lock lock(turning_);
        let_graph_go();
    }
    /// To be called by a task of the graph.
    void resume() {
        if (!suspended_.load()) {
            return;
        }
        const std::scoped_lock lock(turning_);
        if (retired_) {
            return;
        }
        if (suspended_.load() && count() > 0) {
            graph_.reserve_wait();
        }
        suspended_.store(false);
    }

    /// From now on the graph is not held, whatever comes.
    void retire() {
        const std::scoped_lock lock(turning_);
        retired_ = true;
        let_graph_go();
    }

    [[nodiscard]] bool suspended() const noexcept { return suspended_.load(); }
    [[nodiscard]] std::size_t count() const noexcept { return messages_.load(); }

private:
    /// With turning_ held.
    void let_graph_go() {
        if (!suspended_.exchange(true) && count() > 0) {
            graph_.release_wait();
        }
    }

    bool add_if_any() noexcept {
        std::size_t seen = count();
        while (seen > 0 && !messages_.compare_exchange_weak(seen, seen + 1)) {
        }
        return seen > 0;
    }
    bool remove_if_more_than(std::size_t messages) noexcept {
        std::size_t seen = count();
        while (seen > messages && !messages_.compare_exchange_weak(seen, seen - messages)) {
        }
        return seen > messages;
    }

    tbb::flow::graph& graph_;
    std::mutex turning_;
    std::atomic<std::size_t> messages_{0};
    std::atomic<bool> suspended_{false}; ///< changes under turning_
    bool retired_ = false;               ///< guarded by turning_
};

/// One message's share of the hold: given back unless kept.
class held_message {
public:
    explicit held_message(wait_hold& hold)
        : hold_(&hold) {
        hold.add();
    }
    /// Of one that has been added already; nullptr: of none.
    held_message(wait_hold* hold, std::adopt_lock_t /*added*/) noexcept
        : hold_(hold) {}
    ~held_message() {
        if (hold_ != nullptr) {
            hold_->remove();
        }
    }
    held_message(const held_message&) = delete;
    held_message& operator=(const held_message&) = delete;
    void keep() noexcept { hold_ = nullptr; }

private:
    wait_hold* hold_;
};

} // namespace forkflow::graph
