// SPDX-License-Identifier: MIT
// A forked process of a peer: runs a function, and ends with this object.
#pragma once

#include <cerrno>
#include <csignal>
#include <system_error>

#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace forkflow_benchmark {

class child_process {
public:
    /// The child ends after `run`, and with the thread that made it.
    template <class Run>
    explicit child_process(Run&& run)
        : pid_(::fork()) {
        if (pid_ < 0) {
            throw std::system_error(errno, std::system_category(), "fork");
        }
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            run();
            ::_exit(0);
        }
    }
    child_process(child_process&& other) noexcept
        : pid_(other.pid_) {
        other.pid_ = 0;
    }
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;
    child_process& operator=(child_process&&) = delete;
    /// Waits for its end.
    ~child_process() {
        if (pid_ > 0) {
            ::waitpid(pid_, nullptr, 0);
        }
    }
    void kill() const noexcept { ::kill(pid_, SIGKILL); }

private:
    pid_t pid_;
};

} // namespace forkflow_benchmark
