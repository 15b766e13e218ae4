// SPDX-License-Identifier: MIT
// The queue of a queueing node, alone: order over many chunks, and what memory stays behind.
#include "support/catch.hpp"

#include <forkflow/graph/message_queue.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

#include <malloc.h>

namespace {

struct message {
    std::size_t number;
    std::array<std::byte, 1000> more{};
};
using queue = forkflow::graph::message_queue<message>;

constexpr std::size_t count = 5'000; // some 300 chunks

/// Takes what is there, at most `most`, and checks that it is what comes after `next`.
void take(queue& from, std::size_t most, std::size_t& next) {
    const std::size_t taken = std::min(from.refill(), most);
    for (std::size_t i = 0; i < taken; ++i) {
        REQUIRE(from.at(i).number == next++);
    }
    from.taken(taken);
}

} // namespace

TEST_CASE("What is pushed comes out in order, whoever is faster") {
    queue waiting;
    std::size_t pushed = 0;
    std::size_t next = 0;
    for (std::size_t burst = 1; next < count; burst = burst % 97 + 1) {
        for (std::size_t i = 0; i < burst && pushed < count; ++i) {
            waiting.push({pushed++});
        }
        take(waiting, burst % 31 + 1, next);
        REQUIRE(waiting.size() == pushed - next);
    }
    CHECK(waiting.empty());
    CHECK(waiting.refill() == 0);
}

TEST_CASE("After a burst the memory of a few chunks is kept, and used again") {
    queue waiting;
    std::size_t next = 0;
    const std::size_t before = ::mallinfo2().uordblks;
    for (std::size_t number = 0; number < count; ++number) {
        waiting.push({number});
    }
    while (!waiting.empty()) {
        take(waiting, 32, next);
    }
    CHECK(waiting.refill() == 0); // gives back the last chunk
    CHECK(next == count);
    const std::size_t kept = ::mallinfo2().uordblks - before;
    CHECK(kept < std::size_t{64} << 10U);
    for (; next < count + 100;) {
        waiting.push({next});
        take(waiting, 32, next);
    }
    CHECK(::mallinfo2().uordblks - before < std::size_t{64} << 10U);
}
