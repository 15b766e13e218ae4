// SPDX-License-Identifier: MIT
// Deaths around a relief, and of the condemned, over workers that are threads: seen by the thread sanitizer.
#include "support/engine_relief_scenarios.hpp"

namespace relief_deaths_threads_test {

using namespace forkflow_test;
using world = thread_world;

TEST_CASE("Over threads, a worker that dies when it is condemned is charged once") {
    for (const moment when : {moment::first, moment::middle, moment::last}) {
        a_death_when_condemned_is_charged_once<world>(when, 1, 2);
        a_death_when_condemned_is_charged_once<world>(when, 3, 2);
    }
    a_death_when_condemned_is_charged_once<world>(moment::middle, 1, 1);
    a_death_when_condemned_is_charged_once<world>(moment::middle, 3, 1);
}

TEST_CASE("Over threads, a worker that dies while its relief comes costs at most an attempt") {
    for (const std::size_t workers : {1U, 3U}) {
        deaths_around_reliefs_cost_nothing_but_attempts<world>(workers, casualty::relieved);
    }
}

TEST_CASE("Over threads, a relief that dies on its way costs nothing") {
    for (const std::size_t workers : {1U, 3U}) {
        deaths_around_reliefs_cost_nothing_but_attempts<world>(workers, casualty::relief);
    }
}

TEST_CASE("Over threads, a worker and its relief that die at once cost at most an attempt") {
    for (const std::size_t workers : {1U, 3U}) {
        deaths_around_reliefs_cost_nothing_but_attempts<world>(workers, casualty::both);
    }
}

TEST_CASE("Over threads, a message left to a relief that waits for it is retried") {
    for (const std::size_t workers : {1U, 3U}) {
        a_message_left_to_a_blocked_relief_is_retried<world>(workers);
    }
}

} // namespace relief_deaths_threads_test
