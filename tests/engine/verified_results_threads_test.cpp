// SPDX-License-Identifier: MIT
// Verified results over workers that are threads, seen by the thread sanitizer.
#include "support/engine_death_scenarios.hpp"

namespace verified_results_threads_test {

using namespace forkflow_test;
using world = thread_world;

TEST_CASE(
    "Over threads, verified results leave whole and in arrival order, with and without a bound on bytes") {
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1} << 10U, std::size_t{1} << 30U}) {
        for (const std::size_t workers : {1U, 3U}) {
            a_stream_arrives_whole_and_in_order<world>({workers, 8, 8, 3, 60, 0U - 90, bytes, true});
        }
        a_stream_arrives_whole_and_in_order<world>({2, 1, 1, 2, 40, 7, bytes, true});
    }
}

TEST_CASE("Over threads, a worker that dies at any step costs an attempt, and no verified result") {
    for (const step here : steps_of_a_message_or_a_life) {
        one_death_costs_nothing_but_an_attempt<world>(here, moment::middle, 3, 2, true);
    }
}

} // namespace verified_results_threads_test
