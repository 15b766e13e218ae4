// SPDX-License-Identifier: MIT
// A producer puts batches of documents and tells when each is complete; workers count words; the consumer
// adds them up. A batch's last document may still be with a worker while those of the next are being
// counted, and yet the sums are right: what comes out has the order of what went in.
#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <variant>

struct batch_done {
    int batch;
};
using item = std::variant<std::string, batch_done>;                       // a document, or the end of a batch
using outcome = std::variant<std::size_t, batch_done, forkflow::failure>; // what becomes of it

std::size_t count_words(const std::string& document) { // in a worker process
    if (document.starts_with("bug")) {
        std::abort(); // costs this document, and no other
    }
    return static_cast<std::size_t>(std::ranges::count(document, ' '));
}

int main() {
    forkflow::ordered_process_queue<item, outcome> queue(2, count_words);
    std::thread producer([&queue] {
        for (int batch = 1; batch <= 3; ++batch) {
            for (std::string document = "word "; document.size() <= 500; document += "word ") {
                queue.put(document);
            }
            queue.put(batch == 2 ? "bug " : "fix ");
            queue.put(batch_done{batch});
        }
        queue.stop();
    });
    std::size_t sum = 0;
    for (const outcome& next : queue) {
        if (const auto* words = std::get_if<std::size_t>(&next)) {
            sum += *words;
        } else if (const auto* done = std::get_if<batch_done>(&next)) {
            std::cout << "batch " << done->batch << ": " << std::exchange(sum, 0) << " words\n";
        } else {
            std::cout << to_string(std::get<forkflow::failure>(next).kind) << ": one document\n";
        }
    }
    producer.join();
}
