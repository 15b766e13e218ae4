// SPDX-License-Identifier: MIT
#include <forkflow/nodes/page_touch.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <execinfo.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdio_ext.h>
#include <string>
#include <vector>

namespace forkflow::nodes {
namespace {

void reset_signals() {
    for (int number = 1; number < NSIG; ++number) {
        ::signal(number, SIG_DFL); // NOLINT(cert-err33-c): the real-time signals that glibc keeps refuse
    }
    for (const int ignored : {SIGINT, SIGPIPE}) {
        ::signal(ignored, SIG_IGN); // NOLINT(cert-err33-c)
    }
}

/// Closes `first` to `last`, both included.
void close_range_of(unsigned first, unsigned last) {
    if (first > last || ::syscall(SYS_close_range, first, last, 0U) == 0) {
        return;
    }
    const long most = ::sysconf(_SC_OPEN_MAX); // before Linux 5.9
    for (unsigned number = first; number <= last && number < static_cast<unsigned>(std::max(most, 0L));
         ++number) {
        ::close(static_cast<int>(number));
    }
}

void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned next = 3;
    for (const int number : kept) {
        if (number >= static_cast<int>(next)) {
            close_range_of(next, static_cast<unsigned>(number) - 1);
            next = static_cast<unsigned>(number) + 1;
        }
    }
    close_range_of(next, ~0U);
}

/// Leaves at once with the status that the body gave to exit(), before any other exit handler runs.
void leave_by_exit(int status, void* /*argument*/) {
    ::_exit(status);
}

/// Where the handler of fatal signals writes. A signal handler gets no context, so this is the process's own.
last_words* own_last_words = nullptr; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void write_last_words(int signal) {
    std::array<void*, max_stack_frames> frames{};
    const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
    for (int i = 0; i < count; ++i) {
        own_last_words->frames[i] = reinterpret_cast<std::uintptr_t>(frames[static_cast<std::size_t>(i)]);
    }
    own_last_words->frame_count.store(static_cast<std::uint32_t>(count), std::memory_order_release);
    ::raise(signal); // the handler was reset when it was entered: this kills
}

/// SIGBUS means that there is no memory for a page, unless it is the body's.
void on_bus_error(int signal, siginfo_t* about, void* /*context*/) {
    escape_from_touch(about->si_addr);
    write_last_words(signal);
}

} // namespace

void name_process(const char* name) noexcept {
    ::syscall(SYS_prctl, PR_SET_NAME, name, 0UL, 0UL, 0UL);
}

void become_helper_process(int socket, int lifeline, std::span<const int> keep) {
    reset_signals();
    ::setpgid(0, 0);
    __fpurge(stdout); // what the application had not flushed yet is the application's to write
    const int null = checked("open of /dev/null", ::open("/dev/null", O_RDONLY));
    if (null != STDIN_FILENO) { // it is, if the application has closed its own
        checked("dup2", ::dup2(null, STDIN_FILENO));
        ::close(null);
    }
    std::vector<int> kept(keep.begin(), keep.end());
    kept.insert(kept.end(), {socket, lifeline});
    close_all_but(std::move(kept));
}

void run_worker_process(int server_pid, std::uint32_t seat, std::uint32_t incarnation,
                        const worker_main& main) {
    ::setpgid(0, 0);
    die_with(server_pid);
    name_process(("forkflow-" + std::to_string(seat)).c_str());
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::on_exit(leave_by_exit, nullptr);
    int status = 1;
    try {
        status = main(seat, incarnation);
    } catch (...) { // only a broken protocol comes here; the supervisor sees the status
        status = broken_protocol_status;
    }
    ::_exit(status);
}

void die_with(int parent_pid) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent_pid) { // it died before the line above
        ::_exit(1);
    }
}

void leave_last_words(const rings& shared, std::uint32_t seat) {
    std::array<void*, 1> first{};
    ::backtrace(first.data(), 1); // loads what backtrace needs, which a signal handler must not
    own_last_words = &shared.words_of(seat);
    static std::array<std::byte, std::size_t{64} << 10U>
        handler_stack; // a stack overflow needs another stack
    const stack_t stack{.ss_sp = handler_stack.data(), .ss_flags = 0, .ss_size = handler_stack.size()};
    checked("sigaltstack", ::sigaltstack(&stack, nullptr));
    struct sigaction action {};
    action.sa_handler = write_last_words;
    action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
    for (const int fatal : {SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP}) {
        checked("sigaction", ::sigaction(fatal, &action, nullptr));
    }
    action.sa_sigaction = on_bus_error;
    action.sa_flags |= SA_SIGINFO;
    touch_under(action);
    checked("sigaction", ::sigaction(SIGBUS, &action, nullptr));
}

} // namespace forkflow::nodes
