// SPDX-License-Identifier: MIT
#include "support/child_case.hpp"
#include "support/processes.hpp"

#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace forkflow_test {
namespace {

constexpr int readiness_descriptor = 100;

void check(int error, const char* call) {
    if (error != 0) {
        throw std::system_error(error, std::generic_category(), call);
    }
}

} // namespace

child_test::child_test(const std::string& test_case) {
    int ends[2] = {-1, -1};
    check(::pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno, "pipe2");
    ::posix_spawn_file_actions_t actions;
    ::posix_spawnattr_t attributes;
    check(::posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init");
    check(::posix_spawnattr_init(&attributes), "posix_spawnattr_init");
    check(::posix_spawn_file_actions_adddup2(&actions, ends[1], readiness_descriptor),
          "posix_spawn_file_actions_adddup2");
    check(::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP), "posix_spawnattr_setflags");
    std::string program = "/proc/self/exe";
    std::string name = test_case;
    char* const arguments[] = {program.data(), name.data(), nullptr};
    const int error = ::posix_spawn(&pid_, program.c_str(), &actions, &attributes, arguments, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    ready_ = ends[0];
    if (error != 0) {
        ::close(ready_);
    }
    check(error, "posix_spawn");
}

child_test::~child_test() {
    if (!reaped_) {
        ::kill(pid_, SIGKILL);
        wait();
    }
    ::close(ready_);
}

bool child_test::becomes_ready() const {
    char said = 0;
    return ::read(ready_, &said, 1) == 1;
}

int child_test::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
}

int child_test::wait_at_most(std::chrono::milliseconds limit) {
    int status = -1;
    reaped_ = comes_true_within(limit, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    return reaped_ ? status : -1;
}

void announce_readiness() {
    if (::write(readiness_descriptor, "r", 1) != 1) {
        throw std::system_error(errno, std::generic_category(), "write");
    }
}

} // namespace forkflow_test
