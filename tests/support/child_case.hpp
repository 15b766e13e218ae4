// SPDX-License-Identifier: MIT
// A hidden test case of this program, run in a process of its own: for tests that kill or signal the process
// which owns a node.
#pragma once

#include <chrono>
#include <string>

#include <sys/types.h>

namespace forkflow_test {

/// Starts this program anew for one test case, in a process group of its own. Killed and reaped at the end.
class child_test {
public:
    explicit child_test(const std::string& test_case);
    ~child_test();
    child_test(const child_test&) = delete;
    child_test& operator=(const child_test&) = delete;

    [[nodiscard]] ::pid_t pid() const noexcept { return pid_; }
    /// Waits until the test case has called announce_readiness; false: it ended before.
    [[nodiscard]] bool becomes_ready() const;
    /// Waits for its end. Returns what waitpid says.
    int wait();
    /// Waits for its end, at most `limit`. Returns what waitpid says; -1: it has not ended.
    int wait_at_most(std::chrono::milliseconds limit);

private:
    ::pid_t pid_ = 0;
    int ready_ = -1;
    bool reaped_ = false;
};

/// In the child's test case: tells the parent's becomes_ready.
void announce_readiness();

} // namespace forkflow_test
