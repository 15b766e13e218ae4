// SPDX-License-Identifier: MIT
#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <map>
#include <utility>

namespace forkflow::nodes {
namespace {

class server {
public:
    explicit server(const fork_server_setup& setup)
        : setup_(setup) {
        sigset_t children;
        ::sigemptyset(&children);
        ::sigaddset(&children, SIGCHLD);
        ::pthread_sigmask(SIG_SETMASK, &children, nullptr);
        children_ = descriptor(checked("signalfd", ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK)));
        // Readable once the parent is gone, even if another child of it still holds the other end of the
        // socket. Without pidfds (before Linux 5.3) the socket's end of file must do.
        parent_ = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, setup.parent_pid, 0U)));
        open_ = ::getppid() == setup.parent_pid; // else it died before the line above
    }

    void serve() {
        while (open_) {
            pollfd watched[3] = {
                {setup_.socket, static_cast<short>(untold_.empty() ? POLLIN : POLLIN | POLLOUT), 0},
                {children_.get(), POLLIN, 0},
                {parent_.get(), POLLIN, 0}};
            uninterrupted([&] { return ::poll(watched, 3, -1); });
            if (watched[1].revents != 0) {
                reap();
            }
            if ((watched[0].revents & POLLOUT) != 0) {
                tell_untold();
            }
            if ((watched[0].revents & ~POLLOUT) != 0) {
                take_request();
            }
            open_ = open_ && watched[2].revents == 0;
        }
        for (const auto& [pid, seat] : workers_) {
            kill_group(pid);
        }
        while (!workers_.empty()) {
            reap_one(0);
        }
    }

private:
    struct seat_of {
        std::uint32_t seat;
        std::uint32_t incarnation;
    };

    void take_request() {
        fork_server_request request{};
        const ssize_t got =
            uninterrupted([&] { return ::recv(setup_.socket, &request, sizeof request, MSG_DONTWAIT); });
        if (got == -1 && errno == EAGAIN) {
            return;
        }
        if (got != sizeof request) {
            open_ = false; // end of file: the parent closed, or died
        } else if (request.what == fork_server_request::kind::start) {
            start({request.seat, request.incarnation});
        } else {
            kill({request.seat, request.incarnation});
        }
    }

    void start(seat_of place) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            children_.reset();
            parent_.reset();
            ::close(setup_.socket);
            run_worker_process(server_pid_, place.seat, place.incarnation, setup_.main);
        }
        if (pid == -1) {
            tell({.what = host_event::kind::refused,
                  .seat = place.seat,
                  .incarnation = place.incarnation,
                  .error = errno});
            return;
        }
        ::setpgid(pid, pid); // in both processes: whoever comes first, a kill of the group finds it
        workers_.emplace(pid, place);
    }

    void kill(seat_of place) {
        for (const auto& [pid, seat] : workers_) {
            if (seat.seat == place.seat && seat.incarnation == place.incarnation) {
                kill_group(pid); // not reaped yet, so the number still means this process
            }
        }
    }

    static void kill_group(pid_t pid) {
        ::kill(-pid, SIGKILL);
        ::kill(pid, SIGKILL);
    }

    void reap() {
        signalfd_siginfo told{};
        while (::read(children_.get(), &told, sizeof told) == sizeof told) { // signals merge: just empty it
        }
        while (reap_one(WNOHANG)) {
        }
    }

    /// Reaps one dead worker and tells the parent; false if there was none.
    bool reap_one(int flags) {
        int status = 0;
        rusage used{};
        const pid_t pid = uninterrupted([&] { return ::wait4(-1, &status, flags, &used); });
        if (pid <= 0) {
            if (pid == -1 && errno == ECHILD) {
                workers_.clear();
            }
            return false;
        }
        const auto found = workers_.find(pid);
        if (found == workers_.end()) {
            return true;
        }
        ::kill(-pid, SIGKILL); // what the worker forked and left in its group goes with it
        tell({.what = host_event::kind::died,
              .seat = found->second.seat,
              .incarnation = found->second.incarnation,
              .pid = pid,
              .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
              .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
              .peak_memory_kib = static_cast<std::uint64_t>(used.ru_maxrss)});
        workers_.erase(found);
        return true;
    }

    /// Never waits: the parent may itself be waiting to be heard.
    void tell(const host_event& event) {
        untold_.push_back(event);
        tell_untold();
    }

    void tell_untold() {
        while (!untold_.empty()) {
            const ssize_t sent = uninterrupted([this] {
                return ::send(setup_.socket, &untold_.front(), sizeof(host_event),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
            });
            if (sent == -1 && errno == EAGAIN) {
                return;
            }
            untold_.pop_front(); // if the parent is gone nobody needs to know
        }
    }

    const fork_server_setup& setup_;
    const pid_t server_pid_ = ::getpid();
    descriptor children_;
    descriptor parent_;
    std::map<pid_t, seat_of> workers_;
    std::deque<host_event> untold_; ///< events for which the socket had no room yet
    bool open_ = true;
};

} // namespace

void run_fork_server(const fork_server_setup& setup) {
    int status = 0;
    try {
        become_helper_process(setup.socket, setup.lifeline, setup.keep);
        ::prctl(PR_SET_NAME, "forkflow-server");
        server(setup).serve();
    } catch (...) { // nobody to tell: the parent sees the end of file
        status = 1;
    }
    ::_exit(status);
}

} // namespace forkflow::nodes
