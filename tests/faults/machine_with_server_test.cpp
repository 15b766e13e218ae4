// SPDX-License-Identifier: MIT
// A machine that gives no more processes or descriptors to a forkflow::fork_server, to the fork servers that
// it made, or to the application beside it: the constructor throws what names the call, or messages fail and
// say why, or fewer workers do the work; and once there is enough, all goes on.
#include "support/body_line.hpp"
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/limits.hpp"

#include <forkflow/fork_server.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <system_error>

namespace machine_with_server_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::fork_server;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::launcher;
using forkflow_test::limit_of;
using forkflow_test::number;
using forkflow_test::pool_server;
using forkflow_test::process_named;
using forkflow_test::soft_limit;
using line = forkflow_test::body_line;

namespace {

::pid_t pid_of(const char* name) {
    ::pid_t found = 0; // it takes a moment until it has that name
    REQUIRE(forkflow_test::comes_true_within(10s, [&] { return (found = process_named(name)) > 0; }));
    return found;
}

std::size_t workers_alive() {
    const auto all = forkflow_test::descendants_of(::getpid());
    return static_cast<std::size_t>(std::ranges::count_if(all, [](const forkflow_test::process& one) {
        return one.name.starts_with("forkflow-") && one.name != launcher && one.name != pool_server &&
               one.state != 'Z';
    }));
}

/// What the constructor throws; 0: nothing.
int error_of_making(const pool_options& options) {
    try {
        const line made(options, itself);
        return 0;
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()).find("forkflow::fork_server") != std::string::npos);
        return error.code().value();
    }
}

bool says(const failure& found, const char* words) {
    return found.kind == failure_kind::pool_failed && found.what.find(words) != std::string::npos;
}

} // namespace

TEST_CASE("child: a limit on processes of a fork_server", "[.child]") {
    const forkflow_test::watchdog limit(200s);
    forkflow_test::become_somebody();
    fork_server early;
    const pool_options options{.workers = 2, .attempts = 5, .server = &early};
    limit_of(pid_of(launcher), RLIMIT_NPROC, 1);
    CHECK(error_of_making(options) == EAGAIN);
    limit_of(pid_of(launcher), RLIMIT_NPROC, RLIM_INFINITY);
    line going_on(options, itself);
    going_on.put(0, 50);
    going_on.finish();

    REQUIRE(forkflow_test::comes_true_within(10s, [] { return workers_alive() == 2; }));
    limit_of(pid_of(pool_server), RLIMIT_NPROC, 1);
    for (const forkflow_test::process& one : forkflow_test::descendants_of(::getpid())) {
        if (one.name == "forkflow-0") {
            ::kill(one.pid, SIGKILL);
        }
    }
    going_on.put(50, 200); // for the other worker
    going_on.finish();
    CHECK(going_on.fault(200, itself) == "");
    limit_of(pid_of(pool_server), RLIMIT_NPROC, RLIM_INFINITY);
    REQUIRE(forkflow_test::comes_true_within(10s, [] { return workers_alive() == 2; }));

    limit_of(pid_of(launcher), RLIMIT_NPROC, 1); // and no other fork server is to be had
    REQUIRE(forkflow_test::kill_process_named(pool_server));
    const number put = going_on.put_until_one_fails(200);
    CHECK(going_on.fault(put, itself, [](number message, const failure& found) {
        return message >= 200 && says(found, "the fork server, and all workers with it, are gone");
    }) == "");
    limit_of(pid_of(launcher), RLIMIT_NPROC, RLIM_INFINITY);
    CHECK(line(options, itself).fault_of(50, itself) == "");
}

TEST_CASE(
    "When no process can be made, a fork_server refuses a node, and fewer workers do, or messages fail") {
    const bounded_test bounds;
    if (forkflow_test::is_superuser()) {
        forkflow_test::child_test child("child: a limit on processes of a fork_server");
        CHECK(child.wait_at_most(60s) == 0);
    }
}

TEST_CASE(
    "Without descriptors a fork_server refuses a node, with too few messages fail, and with enough none") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .stderr_tail_bytes = 100, .server = &early};
    const ::pid_t server = pid_of(launcher);
    bool refused = false;
    bool complete = false;
    for (rlim_t most = 3; most < 40 && !complete; ++most) {
        CAPTURE(most);
        limit_of(server, RLIMIT_NOFILE, most);
        try {
            line made(options, itself);
            made.put(0, 20);
            made.finish();
            CHECK(made.fault(20, itself, [](number, const failure& found) {
                return found.kind == failure_kind::pool_failed && !found.what.empty();
            }) == "");
            complete = made.outcomes().back().index() == 0 && made.statistics().deaths == 0;
        } catch (const std::system_error& error) {
            refused = true;
            CHECK(error.code().value() == EMFILE);
        }
    }
    CHECK(refused);
    CHECK(complete);
    CHECK(process_named(launcher) == server); // it lived through all that
    CHECK(forkflow_test::comes_true_within(10s, [] { return process_named(pool_server) == 0; }));
}

TEST_CASE("An application without descriptors is told so, also if its fork_server's answer finds none left") {
    const bounded_test bounds;
    fork_server early;
    const pool_options options{.workers = 2, .server = &early};
    const soft_limit descriptors(RLIMIT_NOFILE);
    bool answer_lost = false;
    bool complete = false;
    for (rlim_t most = 3; most < 1000 && !complete; ++most) {
        CAPTURE(most);
        try {
            descriptors.set(most);
            line made(options, itself);
            descriptors.lift();
            complete = made.fault_of(20, itself).empty();
            CHECK(complete);
        } catch (const std::system_error& error) {
            descriptors.lift();
            CHECK(error.code() == std::errc::too_many_files_open);
            answer_lost =
                answer_lost || std::string(error.what()).starts_with("fork in forkflow::fork_server");
        }
    }
    CHECK(answer_lost);
    CHECK(complete);
    CHECK(forkflow_test::comes_true_within(10s, [] { return process_named(pool_server) == 0; }));
}

} // namespace machine_with_server_test
