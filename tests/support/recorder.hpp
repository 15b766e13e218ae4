// SPDX-License-Identifier: MIT
// A successor that remembers what it was given, and lets the test wait for it.
#pragma once

#include <forkflow/failure.hpp>

#include <oneapi/tbb/flow_graph.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace forkflow_test {

/// Keeps every value in the order of arrival. Thread-safe.
template <class T>
class recorder {
public:
    explicit recorder(tbb::flow::graph& g)
        : node_(g, tbb::flow::serial, [this](const T& value) noexcept {
            add(value);
            return tbb::flow::continue_msg();
        }) {}
    /// Makes an edge from `from` to the recorder.
    recorder(tbb::flow::graph& g, tbb::flow::sender<T>& from)
        : recorder(g) {
        tbb::flow::make_edge(from, node_);
    }
    recorder(const recorder&) = delete;
    recorder& operator=(const recorder&) = delete;

    [[nodiscard]] tbb::flow::receiver<T>& node() { return node_; }

    /// Waits until `count` values have come; for how long is the watchdog's business.
    void wait_for(std::size_t count) const {
        std::unique_lock lock(mutex_);
        more_.wait(lock, [&] { return values_.size() >= count; });
    }
    [[nodiscard]] std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return values_.size();
    }
    [[nodiscard]] std::vector<T> values() const {
        const std::scoped_lock lock(mutex_);
        return values_;
    }

private:
    void add(const T& value) {
        const std::scoped_lock lock(mutex_);
        values_.push_back(value);
        more_.notify_all();
    }

    mutable std::mutex mutex_;
    mutable std::condition_variable more_;
    std::vector<T> values_;
    tbb::flow::function_node<T, tbb::flow::continue_msg, tbb::flow::queueing_lightweight> node_;
};

/// Waits until the graph is idle; the failure that ended it, if one did.
inline std::optional<forkflow::failure> failure_of(tbb::flow::graph& g) {
    try {
        g.wait_for_all();
        return std::nullopt;
    } catch (const forkflow::process_error& error) {
        return error.details();
    }
}

} // namespace forkflow_test
