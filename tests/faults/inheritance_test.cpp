// SPDX-License-Identifier: MIT
// What making a node leaves as it was in the application, what workers have from it, and that nothing is
// written twice.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/cpus.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/shared_flags.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace inheritance_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::child_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::shared_flags;

// ---------------------------------------------------------------------------------------------------------
// What stays as it was

namespace {

/// How this process handles each signal, and which ones this thread blocks.
std::string signal_state() {
    std::string all;
    sigset_t blocked;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction now {};
        const bool known = ::sigaction(signal, nullptr, &now) == 0;
        all += std::to_string(signal) + ":" + std::to_string(known ? now.sa_flags : -1) + "," +
               (now.sa_handler == SIG_DFL   ? "default"
                : now.sa_handler == SIG_IGN ? "ignored"
                                            : "handled") +
               (::sigismember(&blocked, signal) == 1 ? ",blocked " : " ");
    }
    return all;
}

std::string ways_of_thread() {
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return std::string(name.data()) + " " + std::to_string(::getpgrp()) + " " + std::to_string(mask) + " " +
           std::setlocale(LC_ALL, nullptr) + " " + std::to_string(::getpriority(PRIO_PROCESS, 0)) + " " +
           std::to_string(::sched_getscheduler(0));
}

} // namespace

TEST_CASE("To make and to end a node leaves signals, locale, names and errno as they were") {
    const bounded_test bounds;
    sigset_t some;
    sigset_t before_mask;
    ::sigemptyset(&some);
    ::sigaddset(&some, SIGUSR2);
    ::sigaddset(&some, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &some, &before_mask);
    const std::string signals = signal_state();
    const std::string ways = ways_of_thread();
    for (int round = 0; round < 3; ++round) {
        errno = EDOM;
        auto line = std::make_unique<number_line>(pool_options{.workers = 2}, itself);
        const int error = errno;
        CHECK(error == EDOM);
        CHECK(signal_state() == signals);
        CHECK(ways_of_thread() == ways);
        line->put(0, 10);
        line->finish();
        line.reset();
        CHECK(signal_state() == signals);
        CHECK(ways_of_thread() == ways);
    }
    ::pthread_sigmask(SIG_SETMASK, &before_mask, nullptr);
}

// ---------------------------------------------------------------------------------------------------------
// What workers have from the application

// In a process of its own, as an unprivileged one cannot undo this.
TEST_CASE("child: has its own way of being scheduled", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    const cpu_set_t one = forkflow_test::only(forkflow_test::last_of(forkflow_test::allowed_cpus()));
    const sched_param no_priority{};
    forkflow_test::allow(one);
    REQUIRE(::sched_setscheduler(0, SCHED_BATCH, &no_priority) == 0);
    REQUIRE(::setpriority(PRIO_PROCESS, 0, 7) == 0);
    const auto mine = [one](number message) {
        if (message % 10 == 0) {
            ::raise(SIGKILL); // the worker that replaces this one is like it
        }
        const bool same = forkflow_test::are_same(forkflow_test::allowed_cpus(), one) &&
                          ::sched_getscheduler(0) == SCHED_BATCH && ::getpriority(PRIO_PROCESS, 0) == 7;
        return same ? message : number{1'000'000};
    };
    number_line line(pool_options{.workers = 2, .attempts = 1}, mine);
    line.put(0, 40);
    line.finish();
    CHECK(line.fault(40, [](number message, const forkflow::failure& found) {
        return message % 10 == 0 && found.signal == SIGKILL;
    }) == "");
}

TEST_CASE("Workers have the niceness, the scheduling class and the CPUs of the thread that made the node") {
    const bounded_test bounds;
    child_test child("child: has its own way of being scheduled");
    CHECK(child.wait_at_most(60s) == 0);
}

// ---------------------------------------------------------------------------------------------------------
// Output

TEST_CASE("A node can be made while another thread holds the locks of standard output, and bodies print") {
    const bounded_test bounds;
    std::binary_semaphore held(0);
    std::binary_semaphore enough(0);
    std::thread holder([&] {
        ::flockfile(stdout);
        ::flockfile(stderr);
        held.release();
        enough.acquire();
        ::funlockfile(stderr);
        ::funlockfile(stdout);
    });
    held.acquire();
    std::string fault;
    {
        number_line line(pool_options{.workers = 2}, [](number message) {
            (void)std::printf("%s", "");
            (void)std::fflush(stdout);
            (void)std::fputs("", stderr);
            return message;
        });
        line.put(0, 20);
        line.finish();
        fault = line.fault(20);
    }
    enough.release();
    holder.join();
    CHECK(fault == "");
}

namespace {

/// While it lives, what is written to descriptor 1 or 2 goes to a file in memory.
class redirected {
public:
    explicit redirected(int which)
        : number_(which)
        , before_(::dup(which))
        , file_(::memfd_create("output", MFD_CLOEXEC)) {
        ::dup2(file_, number_);
    }
    ~redirected() {
        ::dup2(before_, number_);
        ::close(before_);
        ::close(file_);
    }
    redirected(const redirected&) = delete;
    redirected& operator=(const redirected&) = delete;

    [[nodiscard]] std::string text() const {
        std::string all(4096, '\0');
        const ssize_t got = ::pread(file_, all.data(), all.size(), 0);
        all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return all;
    }

private:
    int number_;
    int before_;
    int file_;
};

/// What a stream with a buffer of its own writes if an application uses it before, while and after it has a
/// node whose bodies write to it, flush it, and end their process as `end` does.
std::string output_of(std::ostream& stream, int number_of_descriptor, void (*end)()) {
    stream.flush();
    const redirected output(number_of_descriptor);
    stream << "before ";
    {
        number_line line(pool_options{.workers = 1, .attempts = 1}, [&](number message) {
            stream << "body ";
            stream.flush();
            if (message == 1) {
                end();
            }
            return message;
        });
        stream << "after ";
        line.put(0, 2);
        line.finish();
    }
    stream.flush();
    return output.text();
}

} // namespace

// In a process of its own, as this cannot be undone; and the test framework's own stream does not survive it.
TEST_CASE("child: does not synchronise its streams with stdio", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    std::ios::sync_with_stdio(false);
    int wrong = 0;
    for (void (*const end)() : {+[] {}, +[] { std::exit(1); }, +[] { std::abort(); }, +[] { ::_exit(0); }}) {
        for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
            const std::string text =
                output_of(descriptor == STDOUT_FILENO ? std::cout : std::clog, descriptor, end);
            if (text != "body body before after ") {
                ++wrong;
                ::dprintf(STDERR_FILENO, "descriptor %d got: %s\n", descriptor, text.c_str());
            }
        }
    }
    ::_exit(wrong);
}

TEST_CASE("What stands in std::cout without stdio is written once, and by the application") {
    const bounded_test bounds;
    child_test child("child: does not synchronise its streams with stdio");
    CHECK(child.wait_at_most(60s) == 0);
}

} // namespace inheritance_test
