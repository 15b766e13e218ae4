// SPDX-License-Identifier: MIT
// The memory behind large messages: what it takes, that it stays while it is used, and that it goes back, by
// what the kernel counts for the pool's file.
#include "support/engine_bytes_scenarios.hpp"

#include <forkflow/nodes/extent_memory.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/result_room.hpp>

#include <sys/stat.h>

namespace extent_memory_test {

using namespace forkflow_test;
using forkflow::nodes::byte_writer;
using forkflow::nodes::extent_memory;
using forkflow::nodes::result_place;
using forkflow::nodes::result_room;
using forkflow::nodes::rings;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;
constexpr std::size_t mebibyte_pages = mebibyte / page_bytes;

std::size_t pages_of(const rings& shared) {
    struct stat about {};
    REQUIRE(::fstat(shared.memory().file(), &about) == 0);
    return static_cast<std::size_t>(about.st_blocks) * 512 / page_bytes;
}

pool_options large_messages(std::size_t window_bytes = 0) {
    pool_options options = small_pool(2, 8, 8);
    options.max_message_bytes = 4 * mebibyte;
    options.window_bytes = window_bytes;
    return options;
}

/// Rings and their memory, without a pool around them.
struct bare_extents {
    explicit bare_extents(std::size_t window_bytes = 0)
        : shared(forkflow::resolved(large_messages(window_bytes)), 0) {}

    void write_request(sequence number, std::size_t bytes) {
        const std::vector<std::byte> all(bytes, std::byte{1});
        byte_writer to = memory.request_writer(number);
        to.write(all.data(), all.size());
        REQUIRE(to.in_extent());
    }
    /// Where the worker in seat 1 writes that result, here.
    [[nodiscard]] result_place where(sequence number) const { return {1, number % shared.places()}; }
    /// As a worker does.
    void write_result(sequence number, std::size_t bytes) {
        shared.words_of(where(number)).user = number + 1;
        result_room room(shared);
        room.begin(number, where(number));
        REQUIRE(room.try_make(bytes));
        std::memset(shared.result(where(number)).extent.data(), 1, bytes);
    }
    [[nodiscard]] bool is_result_there(sequence number, std::size_t bytes) {
        return memory.is_result_there(number, where(number), bytes);
    }
    /// Of what no number from `begin` to `end` needs.
    void sweep(sequence begin, sequence end) {
        shared.parent().emitted = begin;
        memory.sweep(begin, end);
    }

    rings shared;
    extent_memory memory{shared};
    const std::size_t at_first = pages_of(shared);
};

} // namespace

TEST_CASE("A request takes the pages that it needs, once, and they stay for the next one") {
    bare_extents tested;
    tested.write_request(3, mebibyte);
    const std::size_t after = pages_of(tested.shared);
    CHECK(after == tested.at_first + mebibyte_pages);
    CHECK(tested.memory.kept_bytes() == mebibyte);
    tested.write_request(3 + tested.shared.capacity(), mebibyte / 2);
    CHECK(pages_of(tested.shared) == after);
    byte_writer little_by_little = tested.memory.request_writer(4);
    for (std::size_t i = 0; i < mebibyte; i += 8) {
        little_by_little.write_value(std::uint64_t{i});
    }
    CHECK(pages_of(tested.shared) <= after + mebibyte_pages * 5 / 4 + 1);
    CHECK(tested.shared.request(4).extent[mebibyte - 8] == std::byte{0xF8});
}

TEST_CASE("What was not used since the last sweep goes back, what was used or is in flight stays") {
    bare_extents tested;
    for (const sequence number : {0U, 1U, 2U}) {
        tested.write_request(number, mebibyte);
        tested.write_result(number, mebibyte);
        REQUIRE(tested.is_result_there(number, mebibyte));
    }
    CHECK(tested.memory.keeps_much());
    const std::size_t full = tested.at_first + 6 * mebibyte_pages;
    CHECK(pages_of(tested.shared) == full);
    tested.sweep(9, 9); // all were used just now
    CHECK(pages_of(tested.shared) == full);
    tested.write_request(1 + tested.shared.capacity(), 1000);
    tested.sweep(2, 3); // number 2 is in flight
    CHECK(pages_of(tested.shared) == full - 3 * mebibyte_pages);
    CHECK(tested.shared.request(2).extent[5] == std::byte{1});
    CHECK(tested.shared.result(tested.where(2)).extent[5] == std::byte{1});
    CHECK(tested.shared.request(1).extent[5000] == std::byte{1});
    CHECK(tested.shared.pages_there(tested.where(0)) == 0);
    CHECK(tested.shared.pages_there(tested.where(2)) == mebibyte_pages);
    tested.sweep(9, 9);
    CHECK(pages_of(tested.shared) == tested.at_first);
    CHECK(tested.memory.kept_bytes() == 0);
    CHECK_FALSE(tested.memory.keeps_much());
    tested.write_request(0, mebibyte); // and there it is again
    tested.write_result(0, mebibyte);
    CHECK(pages_of(tested.shared) == tested.at_first + 2 * mebibyte_pages);
}

TEST_CASE("A sweep finds what a worker has taken and never handed in") {
    bare_extents tested;
    tested.write_result(5, mebibyte);
    CHECK_FALSE(tested.memory.keeps_much()); // nobody knows of it yet
    tested.memory.expect_unknown_pages();
    CHECK(tested.memory.keeps_much());
    tested.sweep(5, 6);
    CHECK(pages_of(tested.shared) == tested.at_first + mebibyte_pages); // it may be at work on it
    tested.sweep(6, 6);
    CHECK(pages_of(tested.shared) == tested.at_first);
    tested.shared.words_of(tested.where(2)).taken_pages = ~0U; // what a wild worker writes does no harm
    tested.shared.words_of(tested.where(3)).user = ~std::uint64_t{0};
    tested.sweep(6, 6);
    CHECK(pages_of(tested.shared) == tested.at_first);
}

TEST_CASE("With a bound on bytes no more is kept, even before the next sweep") {
    bare_extents tested(4 * mebibyte);
    for (sequence number = 0; number < 8; ++number) {
        tested.write_request(number, mebibyte);
        tested.write_result(number, mebibyte);
        REQUIRE(tested.is_result_there(number, mebibyte));
        tested.memory.trim(number);
        tested.shared.held_pages(number) = 0; // released
    }
    CHECK(pages_of(tested.shared) == tested.at_first + 2 * 4 * mebibyte_pages);
}

TEST_CASE("After a burst of large messages their memory goes back, and comes again with the next") {
    const engine_watchdog watchdog("a burst of large messages");
    for (const std::size_t window_bytes : {std::size_t{0}, 8 * mebibyte}) {
        CAPTURE(window_bytes);
        sized_messages<process_world> stream(large_messages(window_bytes), {});
        const rings& shared = rings_of(rings_key(), stream.tested.pool());
        stream.put(100, 100);
        REQUIRE(stream.collect(1, 100) == 0);
        const std::size_t small = pages_of(shared);
        for (int burst = 0; burst < 2; ++burst) {
            for (int i = 0; i < 4; ++i) {
                stream.put(2 * mebibyte, 2 * mebibyte);
            }
            CHECK(pages_of(shared) >= small + 4 * 2 * mebibyte_pages);
            REQUIRE(stream.collect(4, 2 * mebibyte) == 0);
            CHECK(eventually([&] { return pages_of(shared) <= small + mebibyte_pages; }));
        }
        stream.put(100, 100); // and small ones do not bring it back
        REQUIRE(stream.collect(1, 100) == 0);
        CHECK(pages_of(shared) <= small + mebibyte_pages);
    }
}

TEST_CASE("Results beyond all caches take no more places than there are results that wait") {
    const engine_watchdog watchdog("results beyond all caches");
    constexpr std::size_t bytes = 16 * mebibyte;
    pool_options options = small_pool(1, 8, 8);
    options.max_message_bytes = bytes;
    sized_messages<process_world> stream(options, {});
    const rings& shared = rings_of(rings_key(), stream.tested.pool());
    const std::size_t before = pages_of(shared);
    for (int i = 0; i < 6; ++i) {
        stream.put(100, bytes);
        REQUIRE(stream.collect(1, bytes) == 0);
        CHECK(pages_of(shared) <= before + 2 * 16 * mebibyte_pages); // the first one's size is not guessed
    }
}

TEST_CASE("A worker that needs pages waits for the end of a sweep, and the others go on") {
    const engine_watchdog watchdog("waiting for the end of a sweep");
    sized_messages<process_world> stream(large_messages(), {});
    const rings& shared = rings_of(rings_key(), stream.tested.pool());
    const auto users = [&] {
        std::size_t found = 0;
        for (std::uint32_t seat = 0; seat < 2; ++seat) {
            for (std::uint32_t place = 0; place < shared.places(); ++place) {
                const auto& words = shared.words_of(result_place{seat, place});
                found += words.user == 0 ? 0U : 1U;
                CHECK(words.taken_pages == 0);
            }
        }
        return found;
    };
    shared.parent().sweeping = 1;
    stream.put(100, 2 * mebibyte);
    REQUIRE(eventually([&] { return users() == 1; })); // from now on a sweep would leave it its place
    for (int i = 0; i < 4; ++i) {
        stream.put(100, 10);
    }
    REQUIRE(eventually([&] { return stream.tested.statistics().finished == 4; }));
    CHECK(users() == 5);
    CHECK(stream.tested.statistics().running == 1);
    shared.parent().sweeping = 0;
    forkflow::nodes::futex_wake(shared.parent().sweeping, 2);
    CHECK(stream.collect(1, 2 * mebibyte) == 0);
    CHECK(stream.collect(4, 10) == 0);
}

TEST_CASE("What a worker had taken when it died goes back too") {
    const engine_watchdog watchdog("pages of the dead");
    pool_options options = large_messages();
    options.attempts = 1;
    sized_messages<process_world> stream(options, [](const passage& now) {
        if (now.here == step::room_made) {
            process_world::die();
        }
    });
    const rings& shared = rings_of(rings_key(), stream.tested.pool());
    const std::size_t small = pages_of(shared);
    for (int i = 0; i < 3; ++i) {
        stream.put(100, 2 * mebibyte);
        REQUIRE(stream.collect(1, 2 * mebibyte) == 1);
        CHECK(stream.last_failure.kind == failure_kind::crashed);
    }
    CHECK(pages_of(shared) > small + 2 * mebibyte_pages);
    CHECK(eventually([&] { return pages_of(shared) <= small + mebibyte_pages; }));
}

} // namespace extent_memory_test
