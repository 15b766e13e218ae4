// SPDX-License-Identifier: MIT
// There is no memory for the thread that tends a pool's workers: deaths, deadlines, replacements and sweeps
// go on; only what became of a message cannot be told.
#include "fuzz/counted_memory.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/pool_file.hpp"
#include "support/processes.hpp"
#include "support/shared_flags.hpp"
#include "support/told_queue.hpp"
#include "support/wild_worker.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace supervisor_without_memory_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow_test::bounded_test;
using namespace forkflow_test::told;

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> refusals{0};

bool is_supervisor() noexcept {
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    const bool is = std::strcmp(name, "ff-supervisor") == 0;
    refusals += is ? 1 : 0;
    return is;
}

/// Whether the next processes cannot be made, after some time.
enum flag : std::size_t { forks_fail_late, flags };
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
const forkflow_test::shared_flags* shared = nullptr;

/// Lives longer than the pool.
class shared_with_forks {
public:
    shared_with_forks() { shared = &flags_; }
    ~shared_with_forks() { shared = nullptr; }
    shared_with_forks(const shared_with_forks&) = delete;
    shared_with_forks& operator=(const shared_with_forks&) = delete;
    void set(flag which) const { flags_.set(which); }

private:
    forkflow_test::shared_flags flags_{flags};
};

} // namespace

// In place of the C library's, which it calls.
extern "C" ::pid_t fork() {
    if (shared != nullptr && shared->get(forks_fail_late) != 0) {
        std::this_thread::sleep_for(150ms);
        errno = ENOMEM;
        return -1;
    }
    static const auto libc_fork = reinterpret_cast<::pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"));
    return libc_fork();
}

namespace {

/// Longer than a string holds without memory.
constexpr const char* much_to_say = "what a worker writes to its standard error before it dies\n";

constexpr int to_go_wild = to_do_more;

int do_as_told_or_go_wild(int message) {
    if (message == to_die) {
        ::write(STDERR_FILENO, much_to_say, std::strlen(much_to_say)); // NOLINT(cert-err33-c)
    }
    if (message == to_go_wild) {
        std::mt19937_64 random(1);
        forkflow_test::scribble(forkflow_test::find_writable_rings().open, forkflow_test::wild_bytes::ones,
                                random);
        ::raise(SIGKILL);
    }
    return do_as_told(message);
}

/// From before the pool is made; lives longer than it.
class no_memory {
public:
    no_memory() {
        refusals = 0;
        forkflow_fuzz::gets_none = is_supervisor;
    }
    ~no_memory() { forkflow_fuzz::gets_none = nullptr; }
    no_memory(const no_memory&) = delete;
    no_memory& operator=(const no_memory&) = delete;
};

/// Nobody could say more.
bool is_wordless(const outcome& found, failure_kind kind) {
    return is_failure(found, kind) && std::get<failure>(found).what == "(no memory)";
}
bool is_untold(const outcome& found) {
    return is_wordless(found, failure_kind::no_memory);
}
/// As the pool failed: before the message was put, where there was memory for the rest, or after.
bool is_of_failed_pool(const outcome& found) {
    return is_untold(found) || is_wordless(found, failure_kind::pool_failed);
}

} // namespace

TEST_CASE("Without memory a death is charged and retried, and costs its message alone") {
    const bounded_test bounds;
    const no_memory none;
    queue_of_ints queue({.workers = 2, .attempts = 3, .stderr_tail_bytes = 100}, do_as_told_or_go_wild);
    CHECK(is_untold(outcome_of(queue, to_die)));
    CHECK(queue.statistics().deaths == 3);
    CHECK(queue.statistics().retries == 2);
    CHECK(is_result(outcome_of(queue, to_return)));
    CHECK(refusals > 0);
}

TEST_CASE("Without memory a deadline ends a body that hangs") {
    const bounded_test bounds;
    const no_memory none;
    queue_of_ints queue({.workers = 1, .deadline = 50ms, .attempts = 1}, do_as_told_or_go_wild);
    CHECK(is_untold(outcome_of(queue, to_hang)));
    CHECK(is_result(outcome_of(queue, to_return)));
    CHECK(refusals > 0);
}

TEST_CASE("Without memory a pool whose workers cannot begin fails") {
    const bounded_test bounds;
    const no_memory none;
    const bool hangs = GENERATE(false, true);
    queue_of_ints queue({.workers = 2,
                         .worker_init =
                             [hangs] {
                                 while (hangs) {
                                     ::pause();
                                 }
                                 std::abort();
                             },
                         .init_deadline = 100ms},
                        do_as_told_or_go_wild);
    CHECK(is_of_failed_pool(outcome_of(queue, to_return)));
    CHECK(is_wordless(outcome_of(queue, to_return), failure_kind::pool_failed));
    CHECK(refusals > 0);
}

TEST_CASE("Without memory a message fails that nobody comes to retry, once its fork server is gone") {
    const bounded_test bounds;
    const no_memory none;
    queue_of_ints queue({.workers = 1}, do_as_told_or_go_wild);
    CHECK(is_result(outcome_of(queue, to_return)));
    REQUIRE(queue.put(to_hang));
    REQUIRE(forkflow_test::kill_process_named(forkflow_test::pool_server));
    const auto got = queue.get(60s);
    REQUIRE(got);
    CHECK(is_untold(*got));
    CHECK(refusals > 0);
}

TEST_CASE("Without memory a worker that is overdue and then cannot be made is waited for no longer") {
    const bounded_test bounds;
    const shared_with_forks with_forks;
    const no_memory none;
    queue_of_ints queue({.workers = 1, .attempts = 1, .init_deadline = 100ms}, do_as_told_or_go_wild);
    CHECK(is_result(outcome_of(queue, to_return)));
    with_forks.set(forks_fail_late);
    CHECK(is_untold(outcome_of(queue, to_die)));
    CHECK(is_of_failed_pool(outcome_of(queue, to_return)));
}

TEST_CASE("A pool that has no memory just when its fork server dies goes on with another") {
    const bounded_test bounds;
    forkflow::fork_server server;
    queue_of_ints queue({.workers = 1, .attempts = 2, .server = &server}, +do_as_told_or_go_wild);
    CHECK(is_result(outcome_of(queue, to_return)));
    {
        const no_memory none;
        REQUIRE(forkflow_test::kill_process_named(forkflow_test::pool_server));
        REQUIRE(forkflow_test::comes_true_within(20s, [] { return refusals > 3; }));
    }
    CHECK(is_result(outcome_of(queue, to_return)));
}

TEST_CASE("Without memory workers are relieved") {
    const bounded_test bounds;
    const no_memory none;
    queue_of_ints queue({.workers = 2, .recycle_after = 3}, do_as_told_or_go_wild);
    for (int i = 0; i < 100 || (queue.statistics().recycled < 5 && i < 100'000); ++i) {
        CHECK(is_result(outcome_of(queue, to_return)));
    }
    CHECK(queue.statistics().recycled >= 5);
}

TEST_CASE("Without memory a pool recovers from a worker that wrote over all states") {
    const bounded_test bounds;
    const no_memory none;
    queue_of_ints queue({.workers = 1, .deadline = 1s, .attempts = 1}, do_as_told_or_go_wild);
    CHECK(is_result(outcome_of(queue, to_return)));
    CHECK(std::holds_alternative<failure>(outcome_of(queue, to_go_wild)));
    CHECK(forkflow_test::comes_true_within(60s, [&] { return is_result(outcome_of(queue, to_return)); }));
    CHECK(refusals > 0);
}

TEST_CASE("Without memory what large messages and buffers held is given back") {
    const bounded_test bounds;
    const no_memory none;
    using bytes = std::vector<char>;
    constexpr std::size_t large = std::size_t{4} << 20U;
    forkflow::ordered_process_queue<std::size_t, bytes> queue(
        forkflow::pool_options{.workers = 1, .max_message_bytes = large + 100, .buffer_bytes = 3 * large},
        [](std::size_t size) { return bytes(size); });
    const std::size_t before = forkflow_test::bytes_of_pool();
    REQUIRE(queue.put(large));
    const auto got = queue.get(60s);
    REQUIRE(got);
    CHECK(got->size() == large);
    {
        const std::vector<forkflow::buffer> kept{queue.make_buffer(large), queue.make_buffer(large)};
        CHECK(forkflow_test::bytes_of_pool() >= before + 3 * large);
    }
    CHECK(forkflow_test::comes_true_within(60s,
                                           [&] { return forkflow_test::bytes_of_pool() < before + large; }));
}

} // namespace supervisor_without_memory_test
