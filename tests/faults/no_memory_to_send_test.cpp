// SPDX-License-Identifier: MIT
// The kernel has no memory for a packet between a node and its fork server, or between an application and its
// forkflow::fork_server: it is sent later, and nothing waits for ever. Nor for what the fork server watches.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/limits.hpp"
#include "support/processes.hpp"
#include "support/shared_flags.hpp"
#include "support/told_queue.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace no_memory_to_send_test {

using namespace std::chrono_literals;
using forkflow::failure_kind;
using forkflow_test::bounded_test;
using forkflow_test::shared_flags;
using namespace forkflow_test::told;

namespace {

/// Requests and notices, each of which begins with a word that says which it is; and orders and answers.
enum packet : std::uint32_t { start, kill, death, refusal, order, answer, packets };

// How many packets of each kind the system is still to refuse, in all processes.
const shared_flags* still_refused = nullptr; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

packet kind_of(const void* bytes, std::size_t size) {
    std::uint32_t which = 0;
    std::memcpy(&which, bytes, sizeof which);
    const bool is_request = size == sizeof(forkflow::nodes::fork_server_request);
    return static_cast<packet>((is_request ? start : death) + which);
}

/// Lives longer than the node.
class refusals {
public:
    refusals() { still_refused = &left_; }
    ~refusals() { still_refused = nullptr; }
    refusals(const refusals&) = delete;
    refusals& operator=(const refusals&) = delete;

    void refuse(packet kind, std::uint32_t times) const { left_.set(kind, times); }
    [[nodiscard]] std::uint32_t left(packet kind) const { return left_.get(kind); }

private:
    shared_flags left_{packets};
};

} // namespace

namespace {

bool is_refused(packet kind) {
    const std::uint32_t left = still_refused != nullptr ? still_refused->get(kind) : 0;
    if (left > 0) { // one process sends this kind
        still_refused->set(kind, left - 1);
        errno = left % 2 == 0 ? ENOBUFS : ENOMEM;
    }
    return left > 0;
}

} // namespace

// In place of the C library's: as the kernel's, or a refusal.
extern "C" ssize_t send(int socket, const void* bytes, std::size_t size, int flags) {
    return is_refused(kind_of(bytes, size)) ? -1
                                            : ::syscall(SYS_sendto, socket, bytes, size, flags, nullptr, 0);
}
extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
    const bool is_answer = message->msg_iov->iov_len == sizeof(forkflow::nodes::launch_answer);
    return is_refused(is_answer ? answer : order) ? -1 : ::syscall(SYS_sendmsg, socket, message, flags);
}

namespace {

constexpr std::uint32_t some_times = 4;

queue_of_ints one_worker(std::chrono::milliseconds deadline = {}) {
    return queue_of_ints({.workers = 1, .deadline = deadline, .attempts = 1, .stderr_tail_bytes = 100},
                         do_as_told);
}

} // namespace

TEST_CASE("A death that the fork server has no memory to tell of is told later") {
    const bounded_test bounds;
    const refusals refused;
    queue_of_ints queue = one_worker();
    refused.refuse(death, some_times);
    CHECK(is_failure(outcome_of(queue, to_die), failure_kind::crashed));
    CHECK(refused.left(death) == 0);
    CHECK(is_result(outcome_of(queue, to_return)));
}

TEST_CASE("A worker that there is no memory to ask for is asked for later") {
    const bounded_test bounds;
    const refusals refused;
    queue_of_ints queue = one_worker();
    CHECK(is_result(outcome_of(queue, to_return)));
    refused.refuse(start, some_times);
    CHECK(is_failure(outcome_of(queue, to_die), failure_kind::crashed));
    CHECK(is_result(outcome_of(queue, to_return)));
    CHECK(refused.left(start) == 0);
}

TEST_CASE("A kill that there is no memory to ask for is asked for later") {
    const bounded_test bounds;
    const refusals refused;
    queue_of_ints queue = one_worker(1s);
    refused.refuse(kill, some_times);
    CHECK(is_failure(outcome_of(queue, to_hang), failure_kind::timed_out));
    CHECK(refused.left(kill) == 0);
    CHECK(is_result(outcome_of(queue, to_return)));
}

TEST_CASE("That a worker could not be made is told later if there is no memory to tell it") {
    const bounded_test bounds;
    const refusals refused;
    queue_of_ints queue = one_worker();
    CHECK(is_result(outcome_of(queue, to_return)));
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    forkflow_test::limit_of(servers[0], RLIMIT_NOFILE, 4); // no pipe for the worker's standard error
    refused.refuse(refusal, some_times);
    CHECK(is_failure(outcome_of(queue, to_die), failure_kind::crashed));
    CHECK(forkflow_test::comes_true_within(20s, [&] { return refused.left(refusal) == 0; }));
    forkflow_test::limit_of(servers[0], RLIMIT_NOFILE, 100);
    CHECK(is_result(outcome_of(queue, to_return)));
}

TEST_CASE("A queue ends while its fork server has no memory to tell of deaths") {
    const bounded_test bounds;
    const refusals refused;
    queue_of_ints queue = one_worker();
    refused.refuse(death, UINT32_MAX);
    REQUIRE(queue.put(to_die));
    CHECK(forkflow_test::comes_true_within(20s, [&] { return refused.left(death) < UINT32_MAX; }));
}

TEST_CASE("A pool that there is no memory to order, or to hand over, from a fork_server is made later") {
    const bounded_test bounds;
    const refusals refused;
    forkflow::fork_server server;
    for (const packet kind : {order, answer}) {
        refused.refuse(kind, some_times);
        queue_of_ints queue({.workers = 1, .server = &server}, do_as_told);
        CHECK(refused.left(kind) == 0);
        CHECK(is_result(outcome_of(queue, to_return)));
    }
}

TEST_CASE("A fork server that may not have as many descriptors as it watches goes on, and tells of deaths") {
    const bounded_test bounds;
    const rlim_t limit = GENERATE(4U, 0U);
    queue_of_ints queue({.workers = 4, .attempts = 1, .stderr_tail_bytes = 100}, do_as_told);
    CHECK(is_result(outcome_of(queue, to_return)));
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    const auto all_work = [] { return forkflow_test::workers_of(::getpid()).size() == 4; };
    REQUIRE(forkflow_test::comes_true_within(20s, all_work));
    forkflow_test::limit_of(servers[0], RLIMIT_NOFILE, limit);
    CHECK(is_failure(outcome_of(queue, to_die), failure_kind::crashed));
    CHECK(is_result(outcome_of(queue, to_return)));
    forkflow_test::limit_of(servers[0], RLIMIT_NOFILE, 100);
    CHECK(forkflow_test::comes_true_within(20s, all_work));
}

TEST_CASE("A program that may have hardly any descriptors any more hears of deaths, its fork server's too") {
    const bounded_test bounds;
    const forkflow_test::soft_limit descriptors(RLIMIT_NOFILE);
    queue_of_ints queue = one_worker();
    CHECK(is_result(outcome_of(queue, to_return)));
    const std::vector<::pid_t> servers = forkflow_test::fork_servers_of(::getpid());
    REQUIRE(servers.size() == 1);
    const rlim_t limit = GENERATE(2U, 0U);
    descriptors.set(limit);
    std::vector<outcome> found;
    for (int i = 0; i < 3; ++i) {
        found.push_back(outcome_of(queue, to_die));
        found.push_back(outcome_of(queue, to_return));
    }
    REQUIRE(queue.put(to_hang));
    ::kill(servers[0], SIGKILL);
    const auto last = queue.get(20s);
    descriptors.lift();
    for (std::size_t i = 0; i < found.size(); i += 2) {
        CHECK(is_failure(found[i], failure_kind::crashed));
        CHECK(is_result(found[i + 1]));
    }
    REQUIRE(last);
    CHECK(is_failure(*last, failure_kind::pool_failed));
}

} // namespace no_memory_to_send_test
