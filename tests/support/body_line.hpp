// SPDX-License-Identifier: MIT
// A graph with one node whose body has a type of its own.
#pragma once

#include "catch.hpp"
#include "leftovers.hpp"
#include "number_line.hpp"
#include "processes.hpp"
#include "recorder.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace forkflow_test {

/// As number_line, which has one type of body and so is compiled once.
class body_line {
public:
    template <class Body>
    body_line(const forkflow::pool_options& options, Body body)
        : results_(graph_)
        , node_(graph_, options, body) {
        tbb::flow::make_edge(node_, results_.node());
    }
    void put(number first, number last) {
        for (number message = first; message < last; ++message) {
            node_.try_put(message);
        }
    }
    void finish() { graph_.wait_for_all(); }
    /// Puts messages from `first` on until the last outcome is a failure: after a kill, workers may finish
    /// some before the kernel has ended them. Returns the number behind the last message.
    number put_until_one_fails(number first) {
        constexpr number at_once = 50;
        do {
            put(first, first + at_once);
            first += at_once;
            finish();
        } while (std::holds_alternative<number>(outcomes().back()));
        return first;
    }
    void wait_for(std::size_t count) const { results_.wait_for(count); }
    [[nodiscard]] std::vector<outcome> outcomes() const { return results_.values(); }
    [[nodiscard]] forkflow::statistics statistics() const { return node_.statistics(); }

    /// Puts 0 … count - 1, waits, and says what is not as it should be.
    std::string fault_of(number count, const std::function<number(number)>& right) {
        put(0, count);
        finish();
        return fault(count, right);
    }
    [[nodiscard]] std::string fault(number count, const std::function<number(number)>& right,
                                    const allowed_failures& allowed = {}) const {
        return fault_among(outcomes(), count, right, allowed);
    }

private:
    tbb::flow::graph graph_;
    recorder<outcome> results_;
    forkflow::ordered_process_node<number, outcome> node_;
};

} // namespace forkflow_test
