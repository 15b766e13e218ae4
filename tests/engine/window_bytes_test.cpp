// SPDX-License-Identifier: MIT
// The bound on bytes over workers that are processes, and its parts by themselves.
#include "support/engine_bytes_scenarios.hpp"

#include <forkflow/nodes/byte_budget.hpp>
#include <forkflow/nodes/result_room.hpp>

namespace window_bytes_test {

using namespace forkflow_test;
using forkflow::nodes::byte_budget;
using forkflow::nodes::result_room;
using forkflow::nodes::rings;
using world = process_world;

TEST_CASE(
    "A byte budget counts what has no size yet as the largest, and lets in while less than it is counted") {
    byte_budget tested(1000, 300, 8);
    for (sequence number = 0; number < 3; ++number) {
        CHECK(tested.has_room(1));
        tested.reserve(number);
    }
    CHECK(tested.has_room(1)); // 900
    CHECK_FALSE(tested.has_room(2));
    tested.reserve(3);
    CHECK_FALSE(tested.has_room(1)); // 1200
    CHECK_FALSE(tested.commit(0, 300));
    CHECK_FALSE(tested.has_room(1));
    CHECK(tested.commit(1, 50)); // 950: from now on there is room
    CHECK(tested.has_room(1));
    CHECK_FALSE(tested.commit(2, 0)); // there was room already
    CHECK_FALSE(tested.commit(3, 300));
    for (sequence number = 0; number < 4; ++number) {
        tested.release(number);
    }
    CHECK(tested.has_room(4)); // 900 and one more
    CHECK_FALSE(tested.has_room(5));
    CHECK_FALSE(tested.commit(7, 10)); // was never reserved: a marker
    tested.release(7);
    CHECK(tested.has_room(4));
}

TEST_CASE("A byte budget without a bound lets in all and counts nothing") {
    byte_budget tested(0, std::size_t{1} << 30U, 8);
    tested.reserve(0);
    CHECK(tested.has_room(std::size_t{1} << 20U));
    CHECK_FALSE(tested.commit(0, 5));
    tested.release(0);
}

TEST_CASE("A result holds what the bound leaves, the next one to leave what it needs, and younger ones stand "
          "back") {
    const rings shared(forkflow::resolved({.workers = 2,
                                           .window = 5,
                                           .requests = 8,
                                           .max_message_bytes = std::size_t{1} << 20U,
                                           .window_bytes = 8 * page_bytes}),
                       sequence{0} - 2);
    const sequence head = sequence{0} - 2;
    const auto room_for = [&](sequence number, std::size_t pages) {
        result_room room(shared);
        room.begin(number, {});
        const bool made = room.try_make(pages * page_bytes);
        CHECK(room.bytes() == (made ? pages * page_bytes : 0));
        CHECK(shared.held_pages(number) == (made ? pages : 0));
        return made;
    };
    CHECK_FALSE(room_for(head + 3, 9)); // more than all
    CHECK(room_for(head + 3, 5));
    CHECK_FALSE(room_for(head + 1, 4));
    CHECK(room_for(head + 1, 3));
    CHECK(room_for(head, 8)); // whatever there is
    shared.held_pages(head) = 0;
    CHECK_FALSE(room_for(head + 2, 1));
    shared.held_pages(head + 3) = 0;
    shared.held_pages(head + 1) = 6 | forkflow::nodes::asking_bit;
    CHECK_FALSE(room_for(head + 2, 3)); // it is the older one who asks
    CHECK_FALSE(room_for(head + 2, 8));
    shared.held_pages(head + 1) = 0;
    shared.held_pages(head + 4) = 6 | forkflow::nodes::asking_bit;
    CHECK_FALSE(room_for(head + 2, 3)); // the younger one does not make up its mind
    std::atomic<bool> over{false};
    std::thread younger([&] {
        while (!over.load()) {
            shared.held_pages(head + 4) = 6 | forkflow::nodes::asking_bit;
            shared.held_pages(head + 4) = 0;
        }
    });
    result_room room(shared);
    room.begin(head + 2, {});
    CHECK(eventually([&] { return room.try_make(3 * page_bytes); }));
    over = true;
    younger.join();
}

TEST_CASE("What grows little by little asks for a quarter more, and never beyond its extent") {
    using forkflow::nodes::room_to_ask_for;
    constexpr std::size_t most = 100 * page_bytes;
    CHECK(room_to_ask_for(1, 0, most) == page_bytes);
    CHECK(room_to_ask_for(50 * page_bytes, 0, most) == 50 * page_bytes);
    CHECK(room_to_ask_for(40 * page_bytes + 1, 40 * page_bytes, most) == 50 * page_bytes);
    CHECK(room_to_ask_for(90 * page_bytes + 1, 90 * page_bytes, most) == most);
}

TEST_CASE("A bound on bytes bounds single messages too, and must be a possible one") {
    CHECK(forkflow::resolved({.max_message_bytes = 5000, .window_bytes = 1000}).max_message_bytes == 1000);
    CHECK(forkflow::resolved({.max_message_bytes = 5000, .window_bytes = 9000}).max_message_bytes == 5000);
    CHECK(forkflow::resolved({.max_message_bytes = 5000}).window_bytes == 0);
    try {
        (void)forkflow::resolved({.window_bytes = (std::size_t{1} << 46U) + 1});
        FAIL("no exception");
    } catch (const std::invalid_argument& refused) {
        CHECK(std::string(refused.what()).find("window_bytes") != std::string::npos);
    }
}

TEST_CASE("Over processes, streams with any bound on bytes leave whole and in arrival order") {
    for (const std::size_t bytes : {std::size_t{1} << 10U, page_bytes, std::size_t{1} << 30U}) {
        a_stream_arrives_whole_and_in_order<world>({3, 8, 8, 3, 500, 0U - 200, bytes});
        a_stream_arrives_whole_and_in_order<world>({2, 1, 1, 2, 100, 7, bytes});
    }
}

TEST_CASE("Over processes, a full byte budget is room for nobody until an outcome is released") {
    a_full_byte_budget_is_room_for_nobody_until_an_outcome_is_released<world>();
}

TEST_CASE("Over processes, who waits for bytes hears of them") {
    who_waits_for_bytes_hears_of_them<world>();
}

TEST_CASE("Over processes, results take no more bytes than the bound, but for one") {
    results_take_no_more_bytes_than_the_bound<world>();
}

TEST_CASE("Over processes, a death with bytes costs an attempt and no bytes") {
    deaths_with_bytes_cost_attempts_and_no_bytes<world>();
}

} // namespace window_bytes_test
