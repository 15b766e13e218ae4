// SPDX-License-Identifier: MIT
// A program that uses the queue and nothing else of forkflow: it must need no oneTBB. See
// without_tbb_test.sh.
#include <forkflow/ordered_process_queue.hpp>

#include <iostream>
#include <string>

int main() {
    forkflow::ordered_process_queue queue(2, [](const std::string& text) { return text.size(); });
    for (const char* text : {"one", "three"}) {
        queue.put(text);
    }
    queue.stop();
    for (const std::size_t length : queue) {
        std::cout << length << '\n';
    }
}
