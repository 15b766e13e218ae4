// SPDX-License-Identifier: MIT
// The bound on bytes over workers that are threads, seen by the thread sanitizer.
#include "support/engine_bytes_scenarios.hpp"

namespace window_bytes_threads_test {

using namespace forkflow_test;
using world = thread_world;

TEST_CASE("Over threads, streams with any bound on bytes leave whole and in arrival order") {
    for (const std::size_t bytes :
         {std::size_t{1} << 10U, page_bytes, 3 * page_bytes, std::size_t{1} << 30U}) {
        for (const std::size_t workers : {1U, 3U}) {
            a_stream_arrives_whole_and_in_order<world>({workers, 8, 8, 3, 60, 0U - 90, bytes});
        }
        a_stream_arrives_whole_and_in_order<world>({4, 5, 13, 2, 60, 7, bytes});
        a_stream_arrives_whole_and_in_order<world>({2, 1, 1, 2, 40, 7, bytes});
    }
}

TEST_CASE("Over threads, a full byte budget is room for nobody until an outcome is released") {
    a_full_byte_budget_is_room_for_nobody_until_an_outcome_is_released<world>();
}

TEST_CASE("Over threads, who waits for bytes hears of them") {
    who_waits_for_bytes_hears_of_them<world>();
}

TEST_CASE("Over threads, results take no more bytes than the bound, but for one") {
    results_take_no_more_bytes_than_the_bound<world>();
}

TEST_CASE("Over threads, a death with bytes costs an attempt and no bytes") {
    deaths_with_bytes_cost_attempts_and_no_bytes<world>();
}

} // namespace window_bytes_threads_test
