// SPDX-License-Identifier: MIT
// Ends a test program that hangs, saying in what; and waits, within bounds, for what another process brings
// about.
#pragma once

#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>

namespace forkflow_test {

/// While it lives, the test program may run for `limit`; then it is aborted with a line that names `what`. A
/// timer and no thread, so that tests which fork stay single-threaded; forked children do not inherit it.
class engine_watchdog {
public:
    explicit engine_watchdog(const char* what, std::chrono::seconds limit = std::chrono::seconds(200)) {
        what_ = what;
        struct sigaction action {};
        action.sa_handler = bark;
        ::sigaction(SIGALRM, &action, &before_);
        set_timer(limit);
    }
    ~engine_watchdog() {
        set_timer(std::chrono::seconds(0));
        ::sigaction(SIGALRM, &before_, nullptr);
    }
    engine_watchdog(const engine_watchdog&) = delete;
    engine_watchdog& operator=(const engine_watchdog&) = delete;

private:
    static void set_timer(std::chrono::seconds limit) {
        const itimerval once{.it_interval = {}, .it_value = {.tv_sec = limit.count(), .tv_usec = 0}};
        ::setitimer(ITIMER_REAL, &once, nullptr);
    }
    static void bark(int) {
        constexpr char text[] = "\nthe watchdog ends a test that hangs: ";
        [[maybe_unused]] auto written = ::write(STDERR_FILENO, text, sizeof text - 1);
        written = ::write(STDERR_FILENO, what_, std::strlen(what_));
        written = ::write(STDERR_FILENO, "\n", 1);
        std::abort();
    }

    static inline const char* what_ = ""; // a signal handler gets no context
    struct sigaction before_ {};
};

/// True once `condition()` is; false if it is not within `limit`. For what no one announces, such as that a
/// process has gone: the condition decides, not the time.
template <class Condition>
bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(30)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        const timespec moment{.tv_sec = 0, .tv_nsec = 100'000};
        ::nanosleep(&moment, nullptr);
    }
    return true;
}

} // namespace forkflow_test
