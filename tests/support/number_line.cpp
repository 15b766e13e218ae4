// SPDX-License-Identifier: MIT
#include "support/number_line.hpp"
#include "support/recorder.hpp"

#include <forkflow/ordered_process_node.hpp>

namespace forkflow_test {

struct number_line::parts {
    parts(const forkflow::pool_options& options, const body& work)
        : results(graph)
        , node(graph, options, work) {
        tbb::flow::make_edge(node, results.node());
    }
    tbb::flow::graph graph;
    recorder<outcome> results;
    forkflow::ordered_process_node<number, outcome> node;
};

number_line::number_line(const forkflow::pool_options& options, const body& work)
    : parts_(std::make_unique<parts>(options, work)) {}

number_line::~number_line() = default;

void number_line::put(number first, number last) {
    for (number message = first; message < last; ++message) {
        parts_->node.try_put(message);
    }
}

void number_line::finish() {
    parts_->graph.wait_for_all();
}

void number_line::wait_for(std::size_t count) const {
    parts_->results.wait_for(count);
}

std::vector<outcome> number_line::outcomes() const {
    return parts_->results.values();
}

forkflow::statistics number_line::statistics() const {
    return parts_->node.statistics();
}

std::string number_line::fault(number count, const allowed_failures& allowed) const {
    return fault_among(
        outcomes(), count, [](number message) { return message; }, allowed);
}

std::string fault_among(const std::vector<outcome>& all, number count,
                        const std::function<number(number)>& right, const allowed_failures& allowed) {
    if (all.size() != count) {
        return std::to_string(all.size()) + " outcomes of " + std::to_string(count);
    }
    for (number message = 0; message < count; ++message) {
        const auto* const found = std::get_if<forkflow::failure>(&all[message]);
        if (found == nullptr ? std::get<number>(all[message]) != right(message)
                             : found->sequence != message || !allowed || !allowed(message, *found)) {
            return "message " + std::to_string(message) + " became " +
                   (found == nullptr ? std::to_string(std::get<number>(all[message]))
                                     : forkflow::describe(*found));
        }
    }
    return "";
}

} // namespace forkflow_test
