// SPDX-License-Identifier: MIT
// Measures the lengths of many strings in worker processes, and checks that they come back in order.
#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/flow_graph.h>

#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

int main() {
    constexpr std::size_t messages = 1000;
    constexpr std::size_t longest = 97;

    std::vector<std::size_t> expected;
    std::vector<std::size_t> lengths;

    tbb::flow::graph g;
    forkflow::ordered_process_node<std::string, std::size_t> measure(
        g, tbb::flow::unlimited, [](const std::string& text) { return text.size(); });
    tbb::flow::function_node<std::size_t> writer(g, tbb::flow::serial, [&lengths](std::size_t length) {
        lengths.push_back(length);
        return tbb::flow::continue_msg();
    });
    tbb::flow::make_edge(measure, writer);

    for (std::size_t i = 0; i < messages; ++i) {
        expected.push_back(i * i % longest);
        if (!measure.try_put(std::string(expected.back(), 'x'))) {
            std::cerr << "message " << i << " was refused\n";
            return 1;
        }
    }
    g.wait_for_all();

    if (lengths != expected) {
        std::cerr << "sent " << expected.size() << " messages; got " << lengths.size()
                  << " results, or got them out of order\n";
        return 1;
    }
    std::cout << lengths.size() << " lengths came back in order\n";
    return 0;
}
