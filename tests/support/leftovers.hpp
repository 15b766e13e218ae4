// SPDX-License-Identifier: MIT
// The frame of every test that makes a node: it may take only so long, and it leaves nothing behind.
#pragma once

#include "support/catch.hpp"

#include <chrono>
#include <exception>
#include <set>
#include <string>

namespace forkflow_test {

/// What this process has that a node might leave: descriptors, threads, mappings, processes, shared memory.
/// A process that descends from this one is known by a mark in its memory, even if its parent is gone.
std::set<std::string> belongings();

/// Lets oneTBB start its threads now. Later they might be started by a thread of a node, and take over its
/// name.
void start_tbb_threads();

/// What this process has in addition to `before`, one a line. Threads and processes that were told to end get
/// a moment to vanish.
std::string left_behind_since(const std::set<std::string>& before);

/// Ends the test program with a message if it does not come to its end within `limit` (longer under a
/// sanitizer), so that nothing hangs. One at a time.
class watchdog {
public:
    explicit watchdog(std::chrono::seconds limit);
    ~watchdog();
    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;
};

/// The first local variable of a test case: starts the watchdog, and when all else is gone, checks that
/// nothing is left.
class bounded_test {
public:
    explicit bounded_test(std::chrono::seconds limit = std::chrono::seconds(200))
        : watchdog_(limit) {
        start_tbb_threads();
        before_ = belongings();
    }
    ~bounded_test() {
        if (std::uncaught_exceptions() == exceptions_) {
            CHECK(left_behind_since(before_) == "");
        }
    }
    bounded_test(const bounded_test&) = delete;
    bounded_test& operator=(const bounded_test&) = delete;

private:
    watchdog watchdog_;
    int exceptions_ = std::uncaught_exceptions();
    std::set<std::string> before_;
};

} // namespace forkflow_test
