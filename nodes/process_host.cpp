// SPDX-License-Identifier: MIT
#include <forkflow/nodes/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/process_host.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
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

process_host::process_host(const worker_main& main, const std::vector<int>& keep) {
    int pair[2] = {-1, -1};
    checked("socketpair", ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    socket_ = descriptor(pair[0]);
    descriptor server_end(pair[1]);
    interrupt_ = descriptor(checked("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    checked("pipe2", ::pipe2(pair, O_CLOEXEC));
    lifeline_ = descriptor(pair[0]);
    fork_server(main, keep, std::move(server_end), descriptor(pair[1]));
}

void process_host::fork_server(const worker_main& main, const std::vector<int>& keep, descriptor server_end,
                               descriptor lifeline_end) {
    flush_if_free(stdout);
    flush_if_free(stderr);
    stdio_buffers buffers;
    const int parent_pid = ::getpid();
    const all_signals_blocked blocked;
    server_pid_ = checked("fork", ::fork());
    if (server_pid_ == 0) {
        leave_process_group();
        buffers.replace_others();
        // Closed here already, so that a parent with few descriptors left has no child with none; but not
        // where standard ones belong, which an application may lack.
        for (descriptor* const parents : {&socket_, &interrupt_, &lifeline_}) {
            if (parents->get() > STDERR_FILENO) {
                parents->reset();
            }
        }
        run_fork_server({.socket = server_end.get(),
                         .lifeline = lifeline_end.get(),
                         .parent_pid = parent_pid,
                         .keep = keep,
                         .main = main});
    }
    server_end.reset(); // makes room for the next one
    lifeline_end.reset();
    // Nobody can have reaped it yet but an application that reaps all children, at this very moment.
    server_ = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, server_pid_, 0U)));
    if (!server_) {
        const int error = errno;
        socket_.reset(); // it sees the end of file and leaves
        uninterrupted([this] { return ::waitpid(server_pid_, nullptr, 0); });
        errno = error;
        checked("pidfd_open", -1);
    }
}

process_host::~process_host() {
    close();
    // It leaves as soon as it has reaped its workers, unless somebody has stopped it.
    constexpr int patience_ms = 5'000;
    pollfd watched{server_.get(), POLLIN, 0};
    if (uninterrupted([&] { return ::poll(&watched, 1, patience_ms); }) == 0) {
        ::syscall(SYS_pidfd_send_signal, server_.get(), SIGKILL, nullptr, 0U);
    }
    // By pidfd, as the number may be another process's by now: an application that reaps all children, or
    // ignores SIGCHLD, has reaped it already, and this fails.
    siginfo_t ended{};
    uninterrupted([&] { return ::waitid(P_PIDFD, static_cast<id_t>(server_.get()), &ended, WEXITED); });
    wait_for_last_worker();
}

void process_host::start(std::uint32_t seat, std::uint32_t incarnation) {
    const fork_server_request request{fork_server_request::kind::start, seat, incarnation};
    uninterrupted([&] {
        return ::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL);
    }); // gone: closed is told
}

void process_host::kill(std::uint32_t seat, std::uint32_t incarnation) {
    const fork_server_request request{fork_server_request::kind::kill, seat, incarnation};
    uninterrupted([&] { return ::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL); });
}

// The end of file for whoever holds the other end; which only a running process sees, so it is continued if
// somebody has stopped it.
void process_host::close() {
    ::shutdown(socket_.get(), SHUT_WR);
    ::syscall(SYS_pidfd_send_signal, server_.get(), SIGCONT, nullptr, 0U);
}

void process_host::interrupt() {
    ::eventfd_write(interrupt_.get(), 1);
}

host_event process_host::next_event(std::int64_t patience_ns) {
    pollfd watched[3] = {
        {socket_.get(), POLLIN, 0}, {interrupt_.get(), POLLIN, 0}, {server_.get(), POLLIN, 0}};
    const timespec patience{.tv_sec = static_cast<time_t>(patience_ns / 1'000'000'000),
                            .tv_nsec = static_cast<long>(patience_ns % 1'000'000'000)};
    uninterrupted([&] { return ::ppoll(watched, 3, patience_ns < 0 ? nullptr : &patience, nullptr); });
    eventfd_t interrupts = 0;
    ::eventfd_read(interrupt_.get(), &interrupts);
    if (watched[0].revents == 0 && watched[2].revents == 0) {
        return {.what = host_event::kind::quiet};
    }
    host_event event;
    const ssize_t got =
        uninterrupted([&] { return ::recv(socket_.get(), &event, sizeof event, MSG_DONTWAIT); });
    if (got == sizeof event) {
        return event;
    }
    // End of file; or nothing, and the fork server is dead, although some other child of ours holds its end
    // of the pair.
    wait_for_last_worker();
    return {.what = host_event::kind::closed};
}

void process_host::wait_for_last_worker() {
    // The kernel kills the workers of a dead fork server. What a body forked itself may hold the lifeline
    // longer, but it has no part in the rings; so this wait is bounded, and made once.
    constexpr int patience_ms = 3'000;
    pollfd watched{lifeline_.get(), 0, 0}; // only the end is of interest; a descriptor of -1 is passed over
    uninterrupted([&] { return ::poll(&watched, 1, lifeline_ ? patience_ms : 0); });
    lifeline_.reset();
}

} // namespace forkflow::nodes
