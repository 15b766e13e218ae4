// SPDX-License-Identifier: MIT
// What a worker process inherits from the application, what it does not, and what it leaves alone.
#include "support/catch.hpp"
#include "support/engine_shared.hpp"
#include "support/engine_watchdog.hpp"

#include <forkflow/nodes/pool.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hygiene_test {

using namespace forkflow;
using namespace forkflow::nodes;
using forkflow_test::engine_watchdog;
using forkflow_test::eventually;

namespace {

struct outcome {
    std::string text;
    bool failed = false;
    forkflow::failure failure{};
};

/// A pool with one worker whose body answers each (empty) message with a text.
class asked_worker {
public:
    explicit asked_worker(std::function<std::string()> answer, pool_options options = {}) {
        options.workers = 1;
        options.attempts = 1;
        options.max_message_bytes = 65536;
        pool_.emplace(
            options,
            [answer = std::move(answer)](worker_call& call) {
                call.stage = body_stage::running;
                const std::string text = answer();
                call.stage = body_stage::encoding;
                call.result.write(text.data(), text.size());
            },
            [this] {
                const std::scoped_lock lock(mutex_);
                ++signals_;
                changed_.notify_all();
            });
    }

    outcome ask() {
        const auto number = pool_->try_reserve(message_kind::request).value();
        byte_writer to = pool_->writer(number);
        pool_->commit_request(number, to);
        const std::scoped_lock collecting(pool_->collecting());
        for (;;) {
            std::unique_lock lock(mutex_);
            const auto seen = signals_;
            lock.unlock();
            if (auto there = pool_->peek()) {
                outcome taken;
                taken.failed = pool::is_failure(*there);
                if (taken.failed) {
                    taken.failure = pool_->take_failure(*there);
                } else {
                    taken.text.resize(there->payload.size());
                    std::memcpy(taken.text.data(), there->payload.data(), there->payload.size());
                }
                pool_->release(taken.failed ? pool::fate::failure : pool::fate::result);
                return taken;
            }
            if (pool_->rest()) {
                lock.lock();
                changed_.wait(lock, [&] { return signals_ != seen; });
            }
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t signals_ = 0;
    std::optional<pool> pool_;
};

std::string answer_of_worker(std::function<std::string()> answer, pool_options options = {}) {
    asked_worker worker(std::move(answer), std::move(options));
    const outcome got = worker.ask();
    return got.failed ? describe(got.failure) : got.text;
}

std::string status_line(const std::string& field) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(field + ":")) {
            return line.substr(field.size() + 2);
        }
    }
    return "none";
}

/// The numbers of the open descriptors of this process, but for the one that reads them.
std::string open_descriptors() {
    std::vector<int> numbers;
    DIR* const directory = ::opendir("/proc/self/fd");
    while (const dirent* const entry = ::readdir(directory)) {
        if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(directory)) {
            numbers.push_back(std::atoi(entry->d_name));
        }
    }
    ::closedir(directory);
    std::sort(numbers.begin(), numbers.end());
    std::string all;
    for (const int number : numbers) {
        char target[256] = {};
        [[maybe_unused]] const auto size =
            ::readlink(("/proc/self/fd/" + std::to_string(number)).c_str(), target, sizeof target - 1);
        all += std::to_string(number) + "=" + target + "\n";
    }
    return all;
}

struct exit_of_child {
    int status = -1; ///< as from waitpid
    std::string output{};
};

/// Runs `act` in a child of this test whose standard output is a pipe, as an application of its own that ends
/// by exit(), with all that this brings.
exit_of_child application_that(const std::function<void()>& act) {
    int ends[2];
    checked("pipe", ::pipe(ends));
    std::fflush(nullptr);
    const pid_t child = checked("fork", ::fork());
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        std::setvbuf(stdout, nullptr, _IOFBF, 4096);
        act();
        std::fflush(nullptr);
        ::_exit(0);
    }
    ::close(ends[1]);
    exit_of_child seen;
    char buffer[512];
    for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
        seen.output.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    ::waitpid(child, &seen.status, 0);
    return seen;
}

struct leak_counts {
    std::atomic<int> at_exit{0};
    std::atomic<int> bodies{0};
};
leak_counts* leaks = nullptr; // exit handlers get no context

} // namespace

TEST_CASE("A worker's standard input is empty") {
    const engine_watchdog watchdog("standard input");
    const std::string answer = answer_of_worker([] {
        char byte = 0;
        char target[64] = {};
        [[maybe_unused]] const auto size = ::readlink("/proc/self/fd/0", target, sizeof target - 1);
        return target + std::string(::read(0, &byte, 1) == 0 ? " at its end" : " with content");
    });
    CHECK(answer == "/dev/null at its end");
}

TEST_CASE("A worker has no descriptor of the application but those that the options keep") {
    const engine_watchdog watchdog("descriptors");
    const int dropped = ::open("/proc/self/maps", O_RDONLY); // NOLINT: without O_CLOEXEC, as files often are
    const int kept = ::open("/proc/self/stat", O_RDONLY);    // NOLINT
    const int far = ::fcntl(kept, F_DUPFD, 700);             // NOLINT
    REQUIRE((dropped > 2 && kept > 2 && far >= 700));
    const std::string plain = answer_of_worker(open_descriptors);
    pool_options options;
    options.keep_descriptors = {far, kept, 1, 2};
    const std::string keeping = answer_of_worker(open_descriptors, options);
    ::close(dropped);
    ::close(kept);
    ::close(far);
    CAPTURE(plain, keeping);
    CHECK(plain.find("/maps") == std::string::npos);
    CHECK(plain.find("/stat") == std::string::npos);
    CHECK(plain.find("socket:") == std::string::npos); // the fork server's line to the parent
    CHECK(plain.find("anon_inode") == std::string::npos);
    CHECK(keeping.find("/maps") == std::string::npos);
    CHECK(keeping.find("\n" + std::to_string(kept) + "=/proc/") != std::string::npos);
    CHECK(keeping.find("\n" + std::to_string(far) + "=/proc/") != std::string::npos);
    // 0, 1, 2, and the lifeline by which the parent sees that the last worker is gone
    CHECK(std::count(plain.begin(), plain.end(), '\n') == 4);
}

TEST_CASE("Descriptors that are kept but not open do no harm") {
    const engine_watchdog watchdog("a kept descriptor that is closed");
    pool_options options;
    options.keep_descriptors = {900, 5000};
    CHECK(answer_of_worker([] { return "here"; }, options) == "here");
}

TEST_CASE(
    "A worker starts with default signal dispositions and an empty mask, whatever the application set") {
    const engine_watchdog watchdog("signals");
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction handle {};
    handle.sa_handler = [](int) {};
    struct sigaction before[3];
    ::sigaction(SIGUSR1, &ignore, &before[0]);
    ::sigaction(SIGUSR2, &handle, &before[1]);
    ::sigaction(SIGTERM, &handle, &before[2]);
    sigset_t blocked;
    sigset_t old_mask;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigaddset(&blocked, SIGHUP);
    ::sigprocmask(SIG_BLOCK, &blocked, &old_mask);
    const std::string answer = answer_of_worker([] {
        std::string all = "ignored " + status_line("SigIgn") + " blocked " + status_line("SigBlk");
        for (const int number : {SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGALRM}) {
            struct sigaction now {};
            ::sigaction(number, nullptr, &now);
            all += now.sa_handler == SIG_DFL ? "" : " not default: " + std::to_string(number);
        }
        return all;
    });
    sigset_t mask_after;
    ::sigprocmask(SIG_SETMASK, &old_mask, &mask_after);
    CHECK(::sigismember(&mask_after, SIGHUP) == 1); // the application keeps its own
    CHECK(::sigismember(&mask_after, SIGTERM) == 0);
    ::sigaction(SIGUSR1, &before[0], nullptr);
    ::sigaction(SIGUSR2, &before[1], nullptr);
    ::sigaction(SIGTERM, &before[2], nullptr);
    CHECK(answer == "ignored 0000000000001002 blocked 0000000000000000"); // SIGINT and SIGPIPE
}

TEST_CASE("A worker is a process group of its own, with a name of its own, and dies with the fork server") {
    const engine_watchdog watchdog("groups and names");
    const std::string answer = answer_of_worker([] {
        char name[17] = {};
        ::prctl(PR_GET_NAME, name);
        int death_signal = 0;
        ::prctl(PR_GET_PDEATHSIG, &death_signal);
        return std::string(name) + (::getpgrp() == ::getpid() ? " leads" : " follows") + " death signal " +
               std::to_string(death_signal);
    });
    CHECK(answer == "forkflow-0 leads death signal 9");
}

TEST_CASE("A SIGINT for the terminal's group does not reach the workers") {
    const engine_watchdog watchdog("SIGINT");
    asked_worker worker([] { return std::to_string(::getpid()); });
    const std::string first = worker.ask().text;
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before {};
    ::sigaction(SIGINT, &ignore, &before);
    ::kill(std::stoi(first), SIGINT);
    ::kill(-std::stoi(first), SIGINT);
    CHECK(worker.ask().text == first);
    ::sigaction(SIGINT, &before, nullptr);
}

TEST_CASE("Working directory, umask, locale, environment and limits are the application's") {
    const engine_watchdog watchdog("what is inherited");
    const mode_t before = ::umask(0137);
    ::setenv("FORKFLOW_HYGIENE", "inherited", 1);
    const std::string old_locale = std::setlocale(LC_ALL, nullptr);
    std::setlocale(LC_ALL, "C.UTF-8");
    const auto describe_self = [] {
        char directory[4096] = {};
        const mode_t mask = ::umask(0);
        ::umask(mask);
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        return std::string(::getcwd(directory, sizeof directory)) + " " + std::to_string(mask) + " " +
               std::setlocale(LC_ALL, nullptr) + " " + std::getenv("FORKFLOW_HYGIENE") + " " +
               std::to_string(files.rlim_cur);
    };
    CHECK(answer_of_worker(describe_self) == describe_self());
    ::umask(before);
    std::setlocale(LC_ALL, old_locale.c_str());
    ::unsetenv("FORKFLOW_HYGIENE");
}

TEST_CASE("A worker leaves no core file behind and keeps the hard limit") {
    const engine_watchdog watchdog("core files");
    rlimit own{};
    ::getrlimit(RLIMIT_CORE, &own);
    const std::string answer = answer_of_worker([] {
        rlimit core{};
        ::getrlimit(RLIMIT_CORE, &core);
        return std::to_string(core.rlim_cur) + " of " + std::to_string(core.rlim_max);
    });
    CHECK(answer == "0 of " + std::to_string(own.rlim_max));
}

// glibc runs the destructors of a thread's own objects before any exit handler, and the handlers of
// quick_exit cannot be told the status: so those two are the application's own business, as the README says.
TEST_CASE("A body that calls exit costs its message, and runs no exit handler of the application") {
    const engine_watchdog watchdog("exit in a body");
    const forkflow_test::shared_value<leak_counts> counts;
    leaks = &*counts;
    const auto application = [&](void (*leave)(int), int status) {
        return application_that([&] {
            std::atexit([] { ++leaks->at_exit; });
            asked_worker worker([&]() -> std::string {
                ++counts->bodies;
                leave(status);
                return "";
            });
            const outcome got = worker.ask();
            std::printf("%s %d %d", to_string(got.failure.kind), got.failure.signal, got.failure.status);
        });
    };
    SECTION("exit") {
        CHECK(application(std::exit, 23).output == "crashed 0 23");
    }
    SECTION("exit with status 0 is no success") {
        CHECK(application(std::exit, 0).output == "crashed 0 0");
    }
    SECTION("quick_exit") {
        CHECK(application(std::quick_exit, 24).output == "crashed 0 24");
    }
    SECTION("_Exit") {
        CHECK(application(std::_Exit, 25).output == "crashed 0 25");
    }
    CHECK(counts->bodies == 1);
    CHECK(counts->at_exit == 0);
}

TEST_CASE("What the application has not written yet is written once, and by the application") {
    const engine_watchdog watchdog("buffered output");
    const auto leaving_by = [](void (*leave)()) {
        return application_that([&] {
                   std::printf("before ");
                   asked_worker worker([&]() -> std::string {
                       leave();
                       return "";
                   });
                   std::printf("after ");
                   (void)worker.ask();
               })
            .output;
    };
    CHECK(leaving_by([] {}) == "before after ");
    CHECK(leaving_by([] { std::fflush(nullptr); }) == "before after ");
    CHECK(leaving_by([] { std::exit(1); }) == "before after ");
    CHECK(leaving_by([] { std::abort(); }) == "before after ");
}

TEST_CASE("What a body prints and flushes appears") {
    const engine_watchdog watchdog("a printing body");
    const std::string output = application_that([] {
                                   asked_worker worker([]() -> std::string {
                                       std::printf("said by the worker\n");
                                       std::fflush(stdout);
                                       return "";
                                   });
                                   (void)worker.ask();
                               }).output;
    CHECK(output == "said by the worker\n");
}

TEST_CASE("An application without standard descriptors can have workers too") {
    const engine_watchdog watchdog("closed standard descriptors");
    const forkflow_test::shared_value<std::atomic<int>> answered;
    for (const int last_closed : {0, 1, 2}) {
        CAPTURE(last_closed);
        answered->store(0);
        application_that([&] {
            for (int number = 0; number <= last_closed; ++number) {
                ::close(number);
            }
            asked_worker worker([]() -> std::string {
                char byte = 0;
                return ::read(0, &byte, 1) == 0 ? "empty" : "no standard input";
            });
            const outcome got = worker.ask();
            answered->store(got.failed ? 1 : got.text == "empty" ? 2 : 3);
        });
        CHECK(answered->load() == 2);
    }
}

namespace engine_hygiene { // external names, so that they are found without debug information too

[[gnu::noinline]] void crashes_here() {
    volatile std::uintptr_t nothing_lives_there = 64;
    *reinterpret_cast<volatile int*>(nothing_lives_there) = 1; // NOLINT: the crash that is asked for
}
[[gnu::noinline]] int recurses_for_ever(int depth) { // NOLINT(misc-no-recursion): that is the point
    volatile char stack_eater[4096];
    stack_eater[0] = static_cast<char>(depth);
    return stack_eater[0] == 1 && depth < 0 ? 0 : recurses_for_ever(depth + 1) + stack_eater[0];
}

} // namespace engine_hygiene

TEST_CASE("A crash leaves its stack, also that of a stack overflow") {
    const engine_watchdog watchdog("crashes");
    const auto crash_of = [](void (*crash)()) {
        asked_worker worker([=]() -> std::string {
            crash();
            return "";
        });
        return worker.ask().failure;
    };
    SECTION("a bad pointer") {
        const forkflow::failure got = crash_of([] { engine_hygiene::crashes_here(); });
        CHECK(got.kind == failure_kind::crashed);
        CHECK(got.signal == SIGSEGV);
        CHECK(got.peak_memory_kib > 0);
        CHECK(got.stack_trace.to_string().find("crashes_here") != std::string::npos);
    }
    SECTION("an endless recursion") {
        const forkflow::failure got = crash_of([] { (void)engine_hygiene::recurses_for_ever(0); });
        CHECK(got.signal == SIGSEGV);
        CHECK(got.stack_trace.to_string().find("recurses_for_ever") != std::string::npos);
    }
    SECTION("an abort") {
        const forkflow::failure got = crash_of([] { std::abort(); });
        CHECK(got.signal == SIGABRT);
        CHECK(got.stack_trace.to_string().find("abort") != std::string::npos);
    }
    SECTION("kill -9 has none") {
        asked_worker worker([]() -> std::string {
            ::raise(SIGKILL);
            return "";
        });
        const outcome got = worker.ask();
        CHECK(got.failure.signal == SIGKILL);
        CHECK(got.failure.stack_trace.empty());
    }
}

TEST_CASE("A crash tells how much memory its worker had at the most") {
    const engine_watchdog watchdog("peak memory");
    constexpr std::size_t taken = std::size_t{64} << 20U;
    asked_worker worker([]() -> std::string {
        auto memory = std::make_unique_for_overwrite<char[]>(taken);
        for (std::size_t place = 0; place < taken; place += page_bytes) {
            static_cast<volatile char&>(memory[place]) = 'x';
        }
        memory.reset(); // given back: the peak counts, and not the end
        engine_hygiene::crashes_here();
        return "";
    });
    const forkflow::failure got = worker.ask().failure;
    CHECK(got.signal == SIGSEGV);
    CHECK(got.peak_memory_kib >= taken >> 10U);
    // The worker itself takes little; but the address sanitizer keeps books, and memory that was freed.
    CHECK(got.peak_memory_kib < (std::size_t{256} << 10U));
}

TEST_CASE("An application that reaps every child itself loses no worker's death and finds no worker") {
    const engine_watchdog watchdog("a foreign waitpid");
    asked_worker worker([]() -> std::string {
        ::raise(SIGKILL);
        return "";
    });
    CHECK(::waitpid(-1, nullptr, WNOHANG) == 0); // the fork server, which lives
    CHECK(worker.ask().failure.signal == SIGKILL);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == 0);
}

TEST_CASE("A pool can be made and ended while the application ignores SIGCHLD") {
    const engine_watchdog watchdog("ignored SIGCHLD");
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before {};
    ::sigaction(SIGCHLD, &ignore, &before);
    CHECK(answer_of_worker([] { return "here"; }) == "here");
    ::sigaction(SIGCHLD, &before, nullptr);
}

} // namespace hygiene_test
