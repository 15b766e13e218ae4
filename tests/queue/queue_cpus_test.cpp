// SPDX-License-Identifier: MIT
// Workers that begin on one CPU keep the right to all, and ask for none where they might be killed for it.
#include "support/catch.hpp"
#include "support/cpus.hpp"
#include "support/leftovers.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <system_error>

namespace queue_cpus_test {

using forkflow::pool_options;
using forkflow_test::allow;
using forkflow_test::allowed_cpus;
using forkflow_test::last_of;
using forkflow_test::only;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

namespace {

/// All workers to the same one.
void stay_on_last_cpu() {
    allow(only(last_of(allowed_cpus())));
}

void begin_on_last_cpu() {
    const cpu_set_t allowed = allowed_cpus();
    stay_on_last_cpu();
    allow(allowed);
}

/// Whoever asks for CPUs is killed.
void forbid_asking_for_cpus() {
    std::array<sock_filter, 5> rules{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    }};
    const sock_fprog filter{.len = rules.size(), .filter = rules.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        throw std::system_error(errno, std::generic_category(), "prctl(PR_SET_SECCOMP)");
    }
}

void compute_for_a_while() {
    const auto end = clock::now() + 200us;
    while (clock::now() < end) {
    }
}

using queue_of_numbers = forkflow::ordered_process_queue<int, int>;

/// Sends a thousand messages, with so many inside that both workers always have some, and calls
/// `check(number, result)`.
template <class Check>
void send_thousand(queue_of_numbers& queue, Check check) {
    constexpr int inside = 10;
    for (int sent = 0; sent < 1000 + inside; ++sent) {
        if (sent < 1000) {
            queue.put(sent);
        }
        if (sent >= inside) {
            check(sent - inside, queue.get().value());
        }
    }
    CHECK(queue.statistics().deaths == 0);
}

} // namespace

TEST_CASE("Workers that begin on one CPU may use all that the program may, whether they were moved or not") {
    const forkflow_test::bounded_test bound;
    const cpu_set_t all = allowed_cpus();
    queue_of_numbers queue({.workers = 2, .worker_init = begin_on_last_cpu}, [](int) {
        compute_for_a_while();
        const cpu_set_t allowed = allowed_cpus();
        return CPU_COUNT(&allowed);
    });
    send_thousand(queue, [&](int, int cpus) { CHECK(cpus == CPU_COUNT(&all)); });
}

TEST_CASE("Workers whose calls are filtered ask for no other CPU, though they share one all the time") {
    const forkflow_test::bounded_test bound;
    pool_options options{.workers = 2, .worker_init = stay_on_last_cpu};
    SECTION("by a sandbox") {
        options.sandbox = forbid_asking_for_cpus;
    }
    SECTION("since worker_init") {
        options.worker_init = [] {
            stay_on_last_cpu();
            forbid_asking_for_cpus();
        };
    }
    queue_of_numbers queue(options, [](int number) {
        compute_for_a_while();
        return number;
    });
    send_thousand(queue, [](int number, int result) { CHECK(result == number); });
}

} // namespace queue_cpus_test
