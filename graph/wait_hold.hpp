// SPDX-License-Identifier: MIT
// What keeps graph::wait_for_all from returning while messages are on their way through a node.
#pragma once

#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <cstddef>

namespace forkflow::graph {

/// Counts the messages that a node has accepted and not yet handed on. While there is one, it holds one wait
/// of the graph; so the graph's own counter is touched only when the node turns busy or idle. Thread-safe.
class wait_hold {
public:
    explicit wait_hold(tbb::flow::graph& held)
        : graph_(held) {}
    ~wait_hold() { remove(count()); }
    wait_hold(const wait_hold&) = delete;
    wait_hold& operator=(const wait_hold&) = delete;

    /// To be called before the message can be seen by anybody who might remove it.
    void add() {
        if (messages_.fetch_add(1, std::memory_order_seq_cst) == 0) {
            graph_.reserve_wait();
        }
    }
    /// Adds one if there is one already: for those who are no task of the graph, and must not touch it once
    /// it is idle.
    [[nodiscard]] bool try_add() noexcept {
        std::size_t seen = count();
        while (seen > 0 && !messages_.compare_exchange_weak(seen, seen + 1, std::memory_order_seq_cst)) {
        }
        return seen > 0;
    }
    void remove(std::size_t messages = 1) {
        if (messages > 0 && messages_.fetch_sub(messages, std::memory_order_seq_cst) == messages) {
            graph_.release_wait();
        }
    }
    [[nodiscard]] std::size_t count() const noexcept { return messages_.load(std::memory_order_seq_cst); }

private:
    tbb::flow::graph& graph_;
    std::atomic<std::size_t> messages_{0};
};

} // namespace forkflow::graph
