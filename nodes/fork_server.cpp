// SPDX-License-Identifier: MIT
#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/fork_helper.hpp>
#include <forkflow/nodes/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/lack_of_memory.hpp>
#include <forkflow/nodes/output_tail.hpp>
#include <forkflow/nodes/seat_table.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/wait_for_any.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
        // socket.
        parent_ = descriptor(setup.application);
        if (!parent_) {
            parent_ = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, setup.parent_pid, 0U)));
            open_ = ::getppid() == setup.parent_pid; // else it died before the line above
        }
        at(step::server_started, 0);
    }

    void serve() {
        while (open_) {
            std::vector<pollfd> watched = {
                {setup_.socket, static_cast<short>(awaits_room_ ? POLLIN | POLLOUT : POLLIN), 0},
                {children_.get(), POLLIN, 0},
                {parent_.get(), POLLIN, 0}};
            for (const auto& [pid, sitting] : workers_) {
                if (is_open(sitting)) {
                    watched.push_back({sitting.output->get(), POLLIN, 0});
                }
            }
            const std::int64_t patience_ns =
                awaits_memory_ ? std::chrono::nanoseconds(memory_pause).count() : -1;
            if (!wait_for_any(watched, patience_ns)) {
                watched[2].revents = has_ended(parent_) ? POLLIN : 0;
            }
            drain_outputs(watched);
            if (watched[1].revents != 0) {
                reap();
            }
            if (awaits_memory_ || (watched[0].revents & POLLOUT) != 0) {
                tell_untold();
            }
            if ((watched[0].revents & ~POLLOUT) != 0) {
                take_request();
            }
            open_ = open_ && watched[2].revents == 0;
        }
        for (const auto& [pid, sitting] : workers_) {
            kill_group(pid);
        }
        while (!workers_.empty()) {
            reap_one(0);
        }
    }

private:
    struct sitter {
        worker_identity who;
        std::optional<output_tail> output{};
    };

    void at(step here, std::uint32_t seat) const {
        if (setup_.hook) {
            setup_.hook(here, seat);
        }
    }

    static bool is_open(const sitter& worker) { return worker.output && worker.output->get() != -1; }

    /// `watched`: behind the first three, one for each worker whose output is open, in their order.
    void drain_outputs(const std::vector<pollfd>& watched) {
        auto seen = watched.begin() + 3;
        for (auto& [pid, sitting] : workers_) {
            if (is_open(sitting) && seen++->revents != 0 && !sitting.output->drain()) {
                sitting.output->close();
            }
        }
    }

    void take_request() {
        fork_server_request request{};
        const ssize_t got =
            uninterrupted([&] { return ::recv(setup_.socket, &request, sizeof request, MSG_DONTWAIT); });
        if (got == -1 && errno == EAGAIN) {
            return;
        }
        if (got != sizeof request) {
            open_ = false; // end of file: the parent closed, or died
            return;
        }
        at(step::server_asked, request.seat);
        if (request.what == fork_server_request::kind::start) {
            start({.seat = request.seat, .incarnation = request.incarnation});
        } else {
            kill({.seat = request.seat, .incarnation = request.incarnation});
        }
    }

    void start(const worker_identity& who) {
        sitter made{.who = who};
        try {
            if (setup_.stderr_tail_bytes > 0) {
                made.output.emplace(setup_.stderr_tail_bytes);
            }
            fork_into(made);
        } catch (const std::system_error& refused) {
            tell({.what = host_event::kind::refused,
                  .seat = who.seat,
                  .incarnation = who.incarnation,
                  .error = refused.code().value()});
        }
    }

    void fork_into(sitter& made) {
        const pid_t pid = checked("fork", ::fork());
        if (pid == 0) {
            become_worker(made);
        }
        ::setpgid(pid, pid); // in both processes: whoever comes first, a kill of the group finds it
        at(step::server_forked, made.who.seat);
        if (made.output) {
            made.output->close_writing_end();
        }
        workers_.emplace(pid, std::move(made));
    }

    /// In the child. Nothing may be thrown out of here: there is one fork server.
    [[noreturn]] void become_worker(sitter& made) noexcept {
        children_.reset();
        parent_.reset();
        ::close(setup_.socket);
        if (made.output) {
            made.output->become_standard_error();
        }
        workers_.clear(); // the other workers' outputs
        run_worker_process(server_pid_, made.who.seat, made.who.incarnation, setup_.main);
    }

    void kill(const worker_identity& who) {
        for (const auto& [pid, sitting] : workers_) {
            if (sitting.who == who) {
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
        siginfo_t dead{};
        if (uninterrupted([&] { return ::waitid(P_ALL, 0, &dead, WEXITED | WNOWAIT | flags); }) == -1) {
            workers_.clear(); // there are no children
            return false;
        }
        const pid_t pid = dead.si_pid;
        if (pid == 0) {
            return false;
        }
        const auto found = workers_.find(pid);
        if (found != workers_.end()) {
            ::kill(-pid, SIGKILL); // what it forked and left in its group; while the number is surely its own
        }
        int status = 0;
        rusage used{};
        uninterrupted([&] { return ::wait4(pid, &status, 0, &used); });
        if (found == workers_.end()) {
            return true;
        }
        at(step::server_reaped, found->second.who.seat);
        tell({.what = host_event::kind::died,
              .seat = found->second.who.seat,
              .incarnation = found->second.who.incarnation,
              .pid = pid,
              .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
              .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
              .peak_memory_kib = static_cast<std::uint64_t>(used.ru_maxrss),
              .stderr_tail = last_output(found->second)});
        workers_.erase(found);
        return true;
    }

    static std::string last_output(sitter& gone) {
        if (!gone.output) {
            return {};
        }
        gone.output->drain();
        return gone.output->take();
    }

    /// Never waits: the parent may itself be waiting to be heard.
    void tell(host_event event) {
        const std::uint32_t seat = event.seat;
        untold_.push_back(std::move(event));
        tell_untold();
        at(step::server_told, seat);
    }

    void tell_untold() {
        while (!untold_.empty()) {
            const host_event& event = untold_.front();
            fork_server_notice notice{.what = event.what,
                                      .seat = event.seat,
                                      .incarnation = event.incarnation,
                                      .pid = event.pid,
                                      .signal = event.signal,
                                      .status = event.status,
                                      .error = event.error,
                                      .tail_bytes = static_cast<std::uint32_t>(event.stderr_tail.size()),
                                      .peak_memory_kib = event.peak_memory_kib,
                                      .tail = {}};
            event.stderr_tail.copy(notice.tail, sizeof notice.tail);
            const ssize_t sent = uninterrupted([&] {
                return ::send(setup_.socket, &notice, notice_head_bytes + notice.tail_bytes,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
            });
            awaits_room_ = sent == -1 && errno == EAGAIN;
            awaits_memory_ = sent == -1 && is_lack_of_memory(errno);
            if (awaits_room_ || awaits_memory_) {
                return;
            }
            untold_.pop_front(); // if the parent is gone nobody needs to know
        }
    }

    const fork_server_setup& setup_;
    const pid_t server_pid_ = ::getpid();
    descriptor children_;
    descriptor parent_;
    std::map<pid_t, sitter> workers_;
    std::deque<host_event> untold_; ///< events that could not be sent yet: what they wait for
    bool awaits_room_ = false;      ///< in the socket
    bool awaits_memory_ = false;    ///< of the kernel
    bool open_ = true;
};

} // namespace

void run_fork_server(const fork_server_setup& setup) {
    int status = 0;
    try {
        std::vector<int> keep(setup.keep.begin(), setup.keep.end());
        keep.push_back(setup.application);
        become_helper_process(setup.socket, setup.lifeline, keep);
        name_process("forkflow-server");
        server(setup).serve();
    } catch (...) { // nobody to tell: the parent sees the end of file
        status = 1;
    }
    ::_exit(status);
}

} // namespace forkflow::nodes
