// SPDX-License-Identifier: MIT
// The queue of a queueing node, alone: order over many chunks, and what memory stays behind.
#include "support/catch.hpp"
#include "support/limits.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

#include <forkflow/graph/message_queue.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>

#include <malloc.h>
#include <sys/resource.h>

namespace message_queue_test {

using forkflow_test::resident_kib;

namespace {

struct message {
    std::size_t number;
    std::array<std::byte, 1000> more{};
};
using queue = forkflow::graph::message_queue<message>;

constexpr std::size_t count = 5'000; // some 32 chunks, and two large ones

/// Takes what is there, at most `most`, and checks that it is what comes after `next`.
void take(queue& from, std::size_t most, std::size_t& next) {
    const std::size_t taken = std::min(from.refill(), most);
    for (std::size_t i = 0; i < taken; ++i) {
        REQUIRE(from.at(i).number == next++);
    }
    from.taken(taken);
}

void push(queue& to, std::size_t messages, std::size_t& number) {
    for (std::size_t i = 0; i < messages; ++i) {
        to.push({number++});
    }
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
    const long resident_before = resident_kib();
    for (std::size_t number = 0; number < count; ++number) {
        waiting.push({number});
    }
    CHECK(resident_kib() > resident_before + static_cast<long>(count * sizeof(message) / 1024 * 9 / 10));
    while (!waiting.empty()) {
        take(waiting, 32, next);
    }
    CHECK(waiting.refill() == 0); // gives back the last chunk
    CHECK(next == count);
    const std::size_t kept = ::mallinfo2().uordblks - before;
    CHECK(kept < std::size_t{64} << 10U);
    CHECK(resident_kib() < resident_before + 3 * 1024); // the heap's top, which may be a huge page
    for (; next < count + 100;) {
        waiting.push({next});
        take(waiting, 32, next);
    }
    CHECK(::mallinfo2().uordblks - before < std::size_t{64} << 10U);
}

TEST_CASE("No more memory is held than twice what waits, and what is being filled and emptied") {
    constexpr std::size_t in_small_chunks = 33 * 16; // what comes after that many goes to large ones
    constexpr std::size_t in_large_chunks = 34 * (forkflow::nodes::large_piece_bytes / sizeof(message));
    queue waiting;
    std::size_t pushed = 0;
    std::size_t next = 0;
    const long before = resident_kib();
    push(waiting, in_small_chunks + in_large_chunks, pushed);
    while (next < in_small_chunks + 1) {
        take(waiting, 32, next);
    }
    push(waiting, in_small_chunks, pushed); // into the small ones again, which come last now
    while (waiting.size() > in_small_chunks) {
        take(waiting, std::min<std::size_t>(waiting.size() - in_small_chunks, 32), next);
    }
    take(waiting, 1, next); // after which the last of the large ones is done with
    const auto size_kib = static_cast<long>(waiting.size() * sizeof(message) / 1024);
    if (!forkflow_test::sanitized) { // else the sanitizer's shadow of all that was there counts, too
        CHECK(resident_kib() - before < 2 * size_kib + 2 * 2048);
    }
    while (!waiting.empty()) {
        take(waiting, 32, next);
    }
    CHECK(next == pushed);
}

TEST_CASE("Where there is no memory for a large chunk small ones do") {
    if (forkflow_test::sanitized) {
        return; // the sanitizer itself needs address space
    }
    queue waiting;
    std::size_t pushed = 0;
    std::size_t next = 0;
    const forkflow_test::soft_limit address_space(RLIMIT_AS);
    address_space.set((forkflow_test::field_of("/proc/self/status", "VmSize:") + 3 * 1024) * 1024);
    REQUIRE_NOTHROW(push(waiting, 1'500, pushed));
    address_space.lift();
    while (!waiting.empty()) {
        take(waiting, 32, next);
    }
    CHECK(next == 1'500);
}

TEST_CASE("A push that there is no memory for changes nothing") {
    if (forkflow_test::sanitized) {
        return;
    }
    queue waiting;
    std::size_t pushed = 0;
    std::size_t next = 0;
    std::size_t refused = 0;
    const forkflow_test::soft_limit address_space(RLIMIT_AS);
    for (int round = 0; round < 5; ++round) {
        address_space.set(1);
        for (std::size_t before = refused; refused < before + 50;) {
            try {
                waiting.push({pushed});
                ++pushed;
            } catch (const std::bad_alloc&) {
                ++refused;
            }
        }
        address_space.lift();
        push(waiting, 40, pushed);
    }
    while (!waiting.empty()) {
        REQUIRE(waiting.refill() > 0);
        take(waiting, 32, next);
    }
    CHECK(next == pushed);
}

TEST_CASE("For a leak checker, what waits in a queue is no leak") {
    // Alive at the program's end; under the address sanitizer that is looked at.
    static auto* const waiting = new forkflow::graph::message_queue<std::unique_ptr<std::size_t>>;
    for (std::size_t number = 0; number < 300'000; ++number) {
        waiting->push(std::make_unique<std::size_t>(number));
    }
    CHECK(waiting->size() == 300'000);
}

} // namespace message_queue_test
