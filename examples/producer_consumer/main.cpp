// SPDX-License-Identifier: MIT
// Indexes documents, one per line of standard input; an empty line, or the end, ends a batch. The marker
// behind it cannot overtake the documents: when it comes out, the batch is done, though the next is long
// under way.
#include <forkflow/ordered_process_queue.hpp>

#include <iostream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

using words = std::set<std::string>;
enum class batch_done : int {}; // of so many documents
using outcome = std::variant<words, batch_done, forkflow::failure>;

words index_document(const std::string& text) { // in a worker process
    std::istringstream from(text);
    return {std::istream_iterator<std::string>(from), {}};
}

int main() {
    forkflow::ordered_process_queue<std::variant<forkflow::call<words>, batch_done>, outcome> queue(2);
    std::jthread producer([&queue] {
        for (int documents = 0; std::cin; documents = 0) {
            for (std::string line; std::getline(std::cin, line) && !line.empty(); ++documents)
                queue.put(forkflow::call<words>(index_document, line));
            queue.put(batch_done(documents));
        }
        queue.stop();
    });
    words index;
    for (outcome& next : queue) {
        if (const auto* done = std::get_if<batch_done>(&next))
            std::cout << int(*done) << " documents; " << index.size() << " different words until now\n";
        else if (const auto* lost = std::get_if<forkflow::failure>(&next))
            std::cout << to_string(lost->kind) << ": one document\n";
        else
            index.merge(std::get<words>(next));
    }
}
