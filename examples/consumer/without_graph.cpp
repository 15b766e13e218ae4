// SPDX-License-Identifier: MIT
// The same as main.cpp without a graph, and so without oneTBB.
#include <forkflow/ordered_process_queue.hpp>

#include <cstddef>
#include <iostream>
#include <string>
#include <thread>

int main() {
    constexpr std::size_t messages = 1000;
    constexpr std::size_t longest = 97;

    forkflow::ordered_process_queue measure(0, [](const std::string& text) { return text.size(); });
    std::thread producer([&measure] {
        for (std::size_t i = 0; i < messages; ++i) {
            measure.put(std::string(i * i % longest, 'x'));
        }
        measure.stop();
    });
    std::size_t next = 0;
    bool in_order = true;
    for (const std::size_t length : measure) {
        in_order = in_order && length == next * next % longest;
        ++next;
    }
    producer.join();

    if (next != messages || !in_order) {
        std::cerr << "put " << messages << " messages; got " << next
                  << " results, or got them out of order\n";
        return 1;
    }
    std::cout << next << " lengths came back in order\n";
    return 0;
}
