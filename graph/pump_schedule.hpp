// SPDX-License-Identifier: MIT
// Runs a node's pump as a task of its graph: one at a time, in the graph's arena and context, and tells if a
// cancelled graph swallowed the task.
#pragma once

#include <oneapi/tbb/flow_graph.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

namespace forkflow::graph {

/// `request` may be called from any thread, also one that oneTBB does not know. After each request `pump`
/// runs at least once, never twice at the same time. Exceptions of `pump` cancel the graph and reach
/// wait_for_all.
///
/// The task is that of an inner public node; its message owns a witness. If the task is dropped because the
/// graph was cancelled, the witness dies without having been heard, and `swallowed` is called instead.
class pump_schedule {
public:
    pump_schedule(tbb::flow::graph& owner, tbb::flow::node_priority_t priority, std::function<void()> pump,
                  std::function<void()> swallowed)
        : graph_(owner)
        , pump_(std::move(pump))
        , swallowed_(std::move(swallowed))
        // Unlimited, as a serial node would never work again after a cancelled task; the requests see to one
        // at a time.
        , runner_(
              owner, tbb::flow::unlimited,
              [this](const token& run) {
                  run->heard = true;
                  run_requested();
                  return tbb::flow::continue_msg();
              },
              priority) {}

    void request() {
        if (requests_.fetch_add(1, std::memory_order_seq_cst) == 0) {
            runner_.try_put(std::make_shared<witness>(*this));
        }
    }

    /// True if a task has been spawned and is not over.
    [[nodiscard]] bool due() const noexcept { return requests_.load(std::memory_order_seq_cst) > 0; }

    /// Waits until the graph, and with it the task, is through. An exception of the graph ends here: for
    /// destructors.
    void wait() noexcept {
        try {
            graph_.wait_for_all();
        } catch (...) { // whoever destroys a node of a busy graph does not ask for its exceptions
        }
    }

private:
    struct witness {
        explicit witness(pump_schedule& of)
            : schedule(of) {}
        witness(const witness&) = delete;
        witness& operator=(const witness&) = delete;
        ~witness() {
            if (!heard) {
                const unsigned seen = schedule.requests_.load(std::memory_order_seq_cst);
                schedule.swallowed_();
                schedule.start_anew_after(seen);
            }
        }
        pump_schedule& schedule;
        bool heard = false;
    };
    using token = std::shared_ptr<witness>;

    void run_requested() {
        unsigned seen = requests_.load(std::memory_order_seq_cst);
        do {
            try {
                pump_();
            } catch (...) {
                start_anew_after(seen);
                throw;
            }
            // Requests that came during the pump find it busy: it runs again.
        } while (!requests_.compare_exchange_strong(seen, 0, std::memory_order_seq_cst));
    }

    /// Nothing runs and nothing is requested, but what was requested since `seen`.
    void start_anew_after(unsigned seen) {
        if (requests_.exchange(0, std::memory_order_seq_cst) != seen) {
            request();
        }
    }

    tbb::flow::graph& graph_;
    std::function<void()> pump_;
    std::function<void()> swallowed_;
    std::atomic<unsigned> requests_{0};
    tbb::flow::function_node<token, tbb::flow::continue_msg> runner_;
};

} // namespace forkflow::graph
