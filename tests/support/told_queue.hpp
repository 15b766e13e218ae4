// SPDX-License-Identifier: MIT
// A queue of numbers each of which tells its body what to do, one at a time, and what comes out.
#pragma once

#include "support/catch.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <chrono>
#include <csignal>
#include <variant>

#include <unistd.h>

namespace forkflow_test::told {

inline constexpr int to_return = 0;
inline constexpr int to_die = 1;
inline constexpr int to_hang = 2;
inline constexpr int to_do_more = 3; ///< first of those for a test's own

inline int do_as_told(int message) {
    if (message == to_die) {
        ::raise(SIGKILL);
    }
    while (message == to_hang) {
        ::pause();
    }
    return message;
}

using outcome = std::variant<int, forkflow::failure>;
using queue_of_ints = forkflow::ordered_process_queue<int, outcome>;

inline outcome outcome_of(queue_of_ints& queue, int message) {
    REQUIRE(queue.put(message));
    const auto got = queue.get(std::chrono::seconds(60));
    REQUIRE(got);
    return *got;
}

inline bool is_result(const outcome& found) {
    return std::holds_alternative<int>(found) && std::get<int>(found) == to_return;
}

inline bool is_failure(const outcome& found, forkflow::failure_kind kind) {
    const auto* const lost = std::get_if<forkflow::failure>(&found);
    return lost != nullptr && lost->kind == kind;
}

} // namespace forkflow_test::told
