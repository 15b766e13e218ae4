// SPDX-License-Identifier: MIT
// Nodes whose workers come from a forkflow::fork_server: made beside threads, and through the deaths of
// everybody involved.
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::fork_server;
using forkflow::pool_options;
using forkflow_test::adopts_orphans;
using forkflow_test::bounded_test;
using forkflow_test::number;
using forkflow_test::outcome;

namespace {

using node_type = forkflow::ordered_process_node<number, outcome>;

/// A graph with one node, whose body has a type of its own.
class line {
public:
    template <class Body>
    line(const pool_options& options, Body body)
        : results_(graph_)
        , node_(graph_, options, body) {
        tbb::flow::make_edge(node_, results_.node());
    }
    void put(number first, number last) {
        for (number message = first; message < last; ++message) {
            node_.try_put(message);
        }
    }
    void finish() { graph_.wait_for_all(); }
    void wait_for(std::size_t count) const { results_.wait_for(count); }
    [[nodiscard]] std::vector<outcome> outcomes() const { return results_.values(); }
    [[nodiscard]] forkflow::statistics statistics() const { return node_.statistics(); }

    /// Puts 0 … count - 1, waits, and says what is not as it should be.
    std::string fault_of(number count, const std::function<number(number)>& right) {
        put(0, count);
        finish();
        return fault(count, right);
    }
    [[nodiscard]] std::string fault(number count, const std::function<number(number)>& right,
                                    const std::function<bool(number, const failure&)>& allowed = {}) const {
        const std::vector<outcome> all = outcomes();
        for (number message = 0; message < count && all.size() == count; ++message) {
            const auto* const found = std::get_if<failure>(&all[message]);
            if (found == nullptr ? std::get<number>(all[message]) != right(message)
                                 : !allowed || !allowed(message, *found)) {
                return "message " + std::to_string(message) + ": " +
                       (found == nullptr ? "wrong" : forkflow::describe(*found));
            }
        }
        return all.size() == count ? "" : std::to_string(all.size()) + " outcomes";
    }

private:
    tbb::flow::graph graph_;
    forkflow_test::recorder<outcome> results_;
    node_type node_;
};

number plain_body(number message) {
    return 3 * message;
}
number thrice(number message) {
    return 3 * message;
}

/// A body with a state that means the same everywhere.
struct affine {
    number factor;
    number offset;
    number operator()(number message) const { return factor * message + offset; }
};

/// A lock that some library of the application takes, in the application and in bodies.
std::mutex& library_lock() {
    static std::mutex lock;
    return lock;
}

number locking_body(number message) {
    const std::scoped_lock lock(library_lock());
    return 3 * message;
}

/// Threads that allocate and print without pause, and one that holds the library's lock.
class busy_program {
public:
    busy_program() {
        for (int i = 0; i < 8; ++i) {
            threads_.emplace_back([this] {
                while (!done_) {
                    const std::vector<char> some(1000, 'x');
                    (void)std::fputs(some.back() == 'x' ? "" : "?", stdout);
                    std::this_thread::yield();
                }
            });
        }
        std::promise<void> locked;
        threads_.emplace_back([this, &locked] {
            const std::scoped_lock lock(library_lock());
            locked.set_value();
            done_.wait(false);
        });
        locked.get_future().wait();
    }
    ~busy_program() {
        done_ = true;
        done_.notify_all();
        for (std::thread& one : threads_) {
            one.join();
        }
    }
    busy_program(const busy_program&) = delete;
    busy_program& operator=(const busy_program&) = delete;

private:
    std::atomic<bool> done_{false};
    std::vector<std::thread> threads_;
};

template <class Body>
std::string refusal(const pool_options& options, Body body) {
    try {
        const line refused(options, body);
        return "none";
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

::pid_t process_named(const std::string& name) {
    for (const forkflow_test::process& one : forkflow_test::descendants_of(::getpid())) {
        if (one.name == name && one.state != 'Z') {
            return one.pid;
        }
    }
    return 0;
}

void kill_process_named(const std::string& name) {
    ::pid_t pid = 0; // it takes a moment until it has that name
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return (pid = process_named(name)) > 0; }));
    ::kill(pid, SIGKILL);
}

constexpr const char* pool_server = "forkflow-server";
constexpr const char* launcher = "forkflow-launch";

} // namespace

// ---------------------------------------------------------------------------------------------------------
// What it is for

TEST_CASE("A node that is made beside threads inherits their locks, unless a fork_server was there before") {
    const bounded_test bounds;
    fork_server early;
    const busy_program busy;
    {
        line without(pool_options{.workers = 1, .deadline = 200ms, .attempts = 1}, locking_body);
        without.put(0, 1);
        without.finish();
        CHECK(std::get<failure>(without.outcomes().at(0)).kind == failure_kind::timed_out);
    }
    line with(pool_options{.workers = 2, .deadline = 20s, .server = &early}, locking_body);
    CHECK(with.fault_of(100, thrice) == "");
    CHECK(with.statistics().deaths == 0);
}

TEST_CASE("A fork_server takes functions, lambdas without captures and states that are plain bytes") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    CHECK(line(options, plain_body).fault_of(50, thrice) == "");
    CHECK(line(options, [](number message) { return 3 * message; }).fault_of(50, thrice) == "");
    number offset = 7;
    CHECK(line(options, [offset](number message) {
              return message + offset;
          }).fault_of(50, [](number message) { return message + 7; }) == "");
    CHECK(line(options, affine{5, 2}).fault_of(50, [](number message) { return 5 * message + 2; }) == "");
}

TEST_CASE("A fork_server refuses what it cannot hand over, and says why") {
    const bounded_test bounds;
    fork_server early;
    const std::string text = "captured";
    const auto with_text = [text](number message) { return message + static_cast<number>(text.size()); };
    const std::string refused = refusal({.workers = 1, .server = &early}, with_text);
    CHECK(refused.find("pool_options::server") != std::string::npos);
    CHECK(refused.find("not trivially copyable") != std::string::npos);
    const std::string of_init =
        refusal({.workers = 1, .worker_init = [text] {}, .server = &early}, plain_body);
    CHECK(of_init.find("pool_options::worker_init must be a function pointer") != std::string::npos);
    const std::string of_sandbox =
        refusal({.workers = 1, .sandbox = [text] {}, .server = &early}, plain_body);
    CHECK(of_sandbox.find("pool_options::sandbox must be a function pointer") != std::string::npos);
    CHECK(refusal({.workers = 1, .keep_descriptors = std::vector<int>(65, 1), .server = &early}, plain_body)
              .find("keep_descriptors has 65 entries") != std::string::npos);
    CHECK_THROWS_AS(line({.workers = 1, .keep_descriptors = {9999}, .server = &early}, plain_body),
                    std::system_error);
    CHECK(line({.workers = 1, .server = &early}, plain_body).fault_of(5, thrice) == ""); // and lives
}

TEST_CASE("Code that was loaded after the fork_server is refused") {
    const bounded_test bounds;
    fork_server early;
    void* const loaded = ::dlopen(LATE_CODE, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(loaded != nullptr);
    auto* const body = reinterpret_cast<number (*)(number)>(::dlsym(loaded, "late_body"));
    auto* const init = reinterpret_cast<void (*)()>(::dlsym(loaded, "late_init"));
    const std::string words = "was started before the code of the body, of worker_init or of sandbox";
    CHECK(refusal({.workers = 1, .server = &early}, body).find(words) != std::string::npos);
    CHECK(refusal({.workers = 1, .worker_init = init, .server = &early}, plain_body).find(words) !=
          std::string::npos);
    CHECK(refusal({.workers = 1, .sandbox = init, .server = &early}, plain_body).find(words) !=
          std::string::npos);
    {
        fork_server late; // knows it
        line knowing({.workers = 1, .worker_init = init, .server = &late}, body);
        CHECK(knowing.fault_of(5, [](number message) { return message; }) == "");
    }
    ::dlclose(loaded);
}

namespace {

bool prepared = false; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): of each worker

} // namespace

TEST_CASE("worker_init, limits, deadlines, recycling and kept errors work through a fork_server") {
    const bounded_test bounds;
    fork_server early;
    line all(pool_options{.workers = 2,
                          .deadline = 10s,
                          .attempts = 1,
                          .recycle_after = 10,
                          .recycle_age = 1h,
                          .recycle_growth_bytes = std::size_t{1} << 30U,
                          .worker_init = +[] { prepared = true; },
                          .sandbox = +[] { prepared = prepared && ::getpid() > 0; },
                          .limits = {.cpu_time = 100s, .open_files = 50, .no_new_privs = true},
                          .stderr_tail_bytes = 100,
                          .server = &early},
             [](number message) {
                 if (message == 42) {
                     (void)std::fputs("last words", stderr);
                     ::raise(SIGSEGV);
                 }
                 return prepared ? message : 0;
             });
    all.put(0, 200);
    all.finish();
    CHECK(all.fault(
              200, [](number message) { return message; },
              [](number message, const failure& found) {
                  return message == 42 && found.signal == SIGSEGV && found.stderr_tail == "last words" &&
                         !found.stack_trace.empty();
              }) == "");
    CHECK(all.outcomes()[42].index() == 1);
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return all.statistics().recycled > 0; }));
    CHECK(all.statistics().deaths == 1);
}

namespace {

/// Files whose content is their own number, at all numbers that are free below 40.
class numbered_files {
public:
    numbered_files() {
        for (int number = 3; number < 40; ++number) {
            if (::fcntl(number, F_GETFD) == -1) {
                const int file = ::memfd_create("numbered", MFD_CLOEXEC);
                if (file != number) {
                    ::dup3(file, number, O_CLOEXEC);
                    ::close(file);
                }
                (void)!::pwrite(number, &number, sizeof number, 0);
                numbers.push_back(number);
            }
        }
    }
    ~numbered_files() { close_all(); }
    numbered_files(const numbered_files&) = delete;
    numbered_files& operator=(const numbered_files&) = delete;
    void close_all() {
        for (const int number : numbers) {
            ::close(number);
        }
    }
    std::vector<int> numbers;
};

number number_in_file(number file) {
    int content = -1;
    (void)!::pread(static_cast<int>(file), &content, sizeof content, 0);
    return static_cast<number>(content);
}

} // namespace

TEST_CASE("Descriptors are handed over under their numbers, also to a later fork server") {
    const bounded_test bounds;
    fork_server early;
    numbered_files files;
    REQUIRE(files.numbers.size() > 20);
    line reading(pool_options{.workers = 2, .keep_descriptors = files.numbers, .server = &early},
                 number_in_file);
    const auto fault = [&](number count) {
        for (const int file : files.numbers) {
            reading.put(static_cast<number>(file), static_cast<number>(file) + 1);
        }
        reading.finish();
        return reading.fault(count, [&](number message) {
            return static_cast<number>(files.numbers[message % files.numbers.size()]);
        });
    };
    const auto count = static_cast<number>(files.numbers.size());
    CHECK(fault(count) == "");
    // The application may close them: what was handed over stays.
    files.close_all();
    kill_process_named(pool_server);
    CHECK(fault(2 * count) == "");
    files.numbers.clear();
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return reading.statistics().deaths >= 2; }));
}

// ---------------------------------------------------------------------------------------------------------
// Deaths

namespace {

number itself_slowly(number message) {
    std::this_thread::sleep_for(100us);
    return message;
}
number itself(number message) {
    return message;
}

} // namespace

TEST_CASE("kill -9 of a pool's fork server costs attempts and no message") {
    const bounded_test bounds;
    fork_server early;
    for (number round = 0; round < 12; ++round) {
        CAPTURE(round);
        const std::size_t workers = round % 3 == 0 ? 8 : 2;
        line going_on(
            pool_options{.workers = workers, .recycle_after = round % 2 == 0 ? 0U : 5U, .server = &early},
            itself_slowly);
        going_on.put(0, 300);
        if (round > 3) { // else while the first workers begin
            going_on.wait_for(20 * round);
        }
        kill_process_named(pool_server);
        going_on.finish();
        CHECK(going_on.fault(300, itself) == "");
        const forkflow::statistics after = going_on.statistics();
        CHECK(after.results == 300);
        CHECK(after.retries <= workers + 1);
        CHECK(after.deaths >= (after.retries > 0 ? 1 : 0));
    }
    CHECK(process_named(pool_server) == 0);
}

TEST_CASE("With one attempt, kill -9 of a pool's fork server fails what ran, and says why") {
    const bounded_test bounds;
    fork_server early;
    line going_on(pool_options{.workers = 2, .attempts = 1, .server = &early}, [](number message) {
        if (message == 50) {
            ::pause();
        }
        return message;
    });
    going_on.put(0, 300);
    going_on.wait_for(50);
    kill_process_named(pool_server);
    going_on.finish();
    std::size_t failed = 0;
    CHECK(going_on.fault(300, itself, [&](number, const failure& found) {
        ++failed;
        return found.kind == failure_kind::crashed && found.signal == SIGKILL &&
               found.what.find("fork server died") != std::string::npos;
    }) == "");
    CHECK(failed >= 1);
    CHECK(failed <= 2);
    CHECK(going_on.statistics().deaths == 2);
    CHECK(going_on.statistics().retries == 0);
}

TEST_CASE("A pool whose fork server is killed again and again by its own workers fails") {
    const bounded_test bounds;
    fork_server early;
    line hopeless(pool_options{.workers = 3,
                               .worker_init =
                                   +[] {
                                       ::kill(::getppid(), SIGKILL);
                                       ::pause();
                                   },
                               .server = &early},
                  itself);
    hopeless.put(0, 30);
    hopeless.finish();
    CHECK(hopeless.fault(30, itself, [](number, const failure& found) {
        return found.kind == failure_kind::pool_failed && !found.what.empty();
    }) == "");
    CHECK(hopeless.outcomes()[0].index() == 1);
}

TEST_CASE("kill -9 of the fork_server itself: pools go on, new ones are refused, nothing hangs") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    line old(options, itself);
    old.put(0, 50);
    old.finish();
    const ::pid_t server_of_old = process_named(pool_server); // it will be nobody's child
    kill_process_named(launcher);
    old.put(50, 100);
    old.finish();
    CHECK(old.fault(100, itself) == "");
    for (int again = 0; again < 3; ++again) {
        CHECK_THROWS_AS(line(options, itself), std::system_error);
    }
    REQUIRE(server_of_old > 0);
    ::kill(server_of_old, SIGKILL); // nobody is there to make another one
    old.put(100, 150);
    old.finish();
    CHECK(old.fault(150, itself, [](number message, const failure& found) {
        return message >= 100 && found.kind == failure_kind::pool_failed;
    }) == "");
    fork_server second;
    CHECK(line({.workers = 1, .server = &second}, itself).fault_of(10, itself) == "");
}

TEST_CASE("child: nodes of two fork_servers are at work for ever", "[.child]") {
    const forkflow_test::watchdog limit(60s);
    fork_server first;
    fork_server second;
    forkflow_test::start_tbb_threads();
    line one({.workers = 2, .server = &first}, itself_slowly);
    line other({.workers = 2, .recycle_after = 3, .server = &second}, itself_slowly);
    one.put(0, 10);
    other.put(0, 10);
    one.finish();
    forkflow_test::announce_readiness();
    for (;;) {
        one.put(0, 100);
        other.put(0, 100);
        one.finish();
        other.finish();
    }
}

TEST_CASE("kill -9 of an application with fork_servers leaves no process") {
    const bounded_test bounds;
    const adopts_orphans adopting;
    for (int round = 0; round < 5; ++round) {
        forkflow_test::child_test child("child: nodes of two fork_servers are at work for ever");
        REQUIRE(child.becomes_ready());
        ::kill(child.pid(), SIGKILL);
        child.wait();
        CHECK(forkflow_test::all_children_end_within(5s));
    }
}

namespace {

volatile std::sig_atomic_t interrupts = 0; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

} // namespace

TEST_CASE("child: Ctrl-C beside a fork_server", "[.child]") {
    const forkflow_test::watchdog limit(60s);
    ::signal(SIGINT, [](int) { interrupts = interrupts + 1; }); // NOLINT(cert-err33-c)
    fork_server early;
    REQUIRE(::kill(0, SIGINT) == 0);
    line interrupted({.workers = 2, .server = &early}, itself_slowly);
    interrupted.put(0, 100);
    REQUIRE(::kill(0, SIGINT) == 0);
    interrupted.finish();
    CHECK(interrupted.fault(100, itself) == "");
    CHECK(line({.workers = 1, .server = &early}, itself).fault_of(10, itself) == "");
    CHECK(interrupts == 2);
    CHECK(interrupted.statistics().deaths == 0);
}

TEST_CASE("Ctrl-C reaches the application alone, and no fork_server") {
    const bounded_test bounds;
    forkflow_test::child_test child("child: Ctrl-C beside a fork_server");
    CHECK(child.wait_at_most(60s) == 0);
}

TEST_CASE("Several threads make nodes of one fork_server at a time, and it ends after them") {
    const bounded_test bounds;
    auto early = std::make_unique<fork_server>();
    std::atomic<int> right{0};
    {
        std::vector<std::thread> makers;
        for (int i = 0; i < 4; ++i) {
            makers.emplace_back([&] {
                for (int round = 0; round < 5; ++round) {
                    right += line({.workers = 2, .server = early.get()}, itself).fault_of(20, itself).empty()
                                 ? 1
                                 : 0;
                }
            });
        }
        for (std::thread& one : makers) {
            one.join();
        }
    }
    CHECK(right == 20);
    CHECK(process_named(launcher) > 0);
    early.reset();
    CHECK(process_named(launcher) == 0);
}
