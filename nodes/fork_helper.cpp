// SPDX-License-Identifier: MIT
#include <forkflow/nodes/fork_helper.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/wait_for_any.hpp>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>

#if __has_include(<ext/stdio_filebuf.h>)
#include <ext/stdio_filebuf.h>
#include <ext/stdio_sync_filebuf.h>
#endif

namespace forkflow::nodes {
namespace {

/// Blocks all signals while it lives: no handler of the application may run in the child.
class all_signals_blocked {
public:
    all_signals_blocked() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    all_signals_blocked(const all_signals_blocked&) = delete;
    all_signals_blocked& operator=(const all_signals_blocked&) = delete;

private:
    sigset_t before_{};
};

/// In the child: leaves the application's process group, and forgets what was sent to that until now, which
/// would strike as soon as it is no longer blocked.
void leave_process_group() {
    ::setpgid(0, 0);
    for (int number = 1; number < NSIG; ++number) {
        ::signal(number, SIG_IGN); // NOLINT(cert-err33-c): not all can be ignored
    }
}

/// Writes out what stands in `stream`, unless another thread is using it, which may last.
void flush_if_free(FILE* stream) {
    if (::ftrylockfile(stream) == 0) {
        std::fflush(stream);
        ::funlockfile(stream);
    }
}

/// std::cout and std::clog have buffers of their own after sync_with_stdio(false). What stands there at the
/// fork is the application's to write, and other threads of it may be writing there: so the child lets both
/// write to stdio again, to which it gives buffers that were made before the fork, as that takes locks.
class stdio_buffers {
public:
#if __has_include(<ext/stdio_filebuf.h>)
    void replace_others() {
        replace(std::cout, output_);
        replace(std::clog, errors_);
    }

private:
    static void replace(std::ostream& stream, std::streambuf& shared) {
        if (dynamic_cast<__gnu_cxx::stdio_filebuf<char>*>(stream.rdbuf()) != nullptr) {
            stream.rdbuf(&shared);
        }
    }
    __gnu_cxx::stdio_sync_filebuf<char> output_{stdout};
    __gnu_cxx::stdio_sync_filebuf<char> errors_{stderr};
#else
    void replace_others() {} // only libstdc++ has such buffers
#endif
};

} // namespace

descriptor fork_helper(const std::function<void(int parent_pid)>& child) {
    flush_if_free(stdout);
    flush_if_free(stderr);
    stdio_buffers buffers;
    const int parent_pid = ::getpid();
    const all_signals_blocked blocked;
    const pid_t pid = checked("fork", ::fork());
    if (pid == 0) {
        leave_process_group();
        buffers.replace_others();
        child(parent_pid);
        ::_exit(1);
    }
    // Nobody can have reaped it yet but an application that reaps all children, at this very moment.
    descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
    if (!process) {
        const int error = errno;
        if (error != ESRCH) { // else the number may be another process's by now
            ::kill(pid, SIGKILL);
            uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
        }
        errno = error;
        checked("pidfd_open", -1);
    }
    return process;
}

void signal_helper(const descriptor& process, int signal) noexcept {
    ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0U);
}

void tell_helper_to_go(const descriptor& socket, const descriptor& process) noexcept {
    ::shutdown(socket.get(), SHUT_WR);
    signal_helper(process, SIGCONT);
}

bool has_ended(const descriptor& process) noexcept {
    siginfo_t ended{};
    const auto number = static_cast<id_t>(process.get());
    if (uninterrupted([&] { return ::waitid(P_PIDFD, number, &ended, WEXITED | WNOHANG | WNOWAIT); }) == 0) {
        return ended.si_pid != 0;
    }
    return ::syscall(SYS_pidfd_send_signal, process.get(), 0, nullptr, 0U) == -1 && errno == ESRCH;
}

void wait_for_helper(const descriptor& process) {
    // It leaves as soon as it has reaped its own children, unless somebody has stopped it.
    if (!wait_for_end(process, helper_patience, [&] { return has_ended(process); })) {
        signal_helper(process, SIGKILL);
    }
    // By pidfd, as the number may be another process's by now: an application that reaps all children, or
    // ignores SIGCHLD, has reaped it already, and this fails; and a launcher's children are not ours.
    siginfo_t ended{};
    uninterrupted([&] { return ::waitid(P_PIDFD, static_cast<id_t>(process.get()), &ended, WEXITED); });
}

} // namespace forkflow::nodes
