// SPDX-License-Identifier: MIT
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/worker_limits.hpp>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace forkflow::nodes {
namespace {

/// Sets the soft limit, and, if it is to bind the worker, the hard one. Never above the hard limit in force.
void limit(const char* call, __rlimit_resource_t resource, rlim_t most, bool binding) {
    rlimit now{};
    checked(call, ::getrlimit(resource, &now));
    now.rlim_cur = std::min(most, now.rlim_max);
    if (binding) {
        now.rlim_max = now.rlim_cur;
    }
    checked(call, ::setrlimit(resource, &now));
}

/// What RLIMIT_DATA counts: the process's private writable memory, inherited pages included.
std::size_t data_bytes() {
    std::size_t pages = 0;
    std::ifstream statm("/proc/self/statm"); // total, resident, shared, text, 0, data
    for (int field = 0; field < 6; ++field) {
        statm >> pages;
    }
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void pin_to(const std::vector<int>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) {
        CPU_SET(static_cast<std::size_t>(cpu), &set); // 0 to CPU_SETSIZE - 1, as the options are checked
    }
    checked("sched_setaffinity", ::sched_setaffinity(0, sizeof set, &set));
}

} // namespace

void apply(const worker_limits& limits) {
    limit("setrlimit(RLIMIT_CORE)", RLIMIT_CORE, limits.core_bytes, false);
    if (limits.memory_bytes) {
        const rlim_t now = data_bytes();
        limit("setrlimit(RLIMIT_DATA)", RLIMIT_DATA,
              now + std::min<rlim_t>(*limits.memory_bytes, RLIM_INFINITY - now), true);
    }
    if (limits.cpu_time) {
        limit("setrlimit(RLIMIT_CPU)", RLIMIT_CPU, static_cast<rlim_t>(limits.cpu_time->count()), false);
    }
    if (limits.open_files) {
        limit("setrlimit(RLIMIT_NOFILE)", RLIMIT_NOFILE, *limits.open_files, true);
    }
    if (limits.niceness) {
        checked("setpriority", ::setpriority(PRIO_PROCESS, 0, *limits.niceness));
    }
    if (!limits.cpus.empty()) {
        pin_to(limits.cpus);
    }
    if (limits.no_new_privs) {
        checked("prctl(PR_SET_NO_NEW_PRIVS)", ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    }
}

} // namespace forkflow::nodes
