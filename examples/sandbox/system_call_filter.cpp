// SPDX-License-Identifier: MIT
#include "system_call_filter.hpp"

#include <memory>
#include <system_error>

#include <seccomp.h>

namespace {

/// What forkflow's own part of a worker calls.
constexpr int for_forkflow[] = {SCMP_SYS(futex),  SCMP_SYS(exit_group),  SCMP_SYS(getpid),
                                SCMP_SYS(gettid), SCMP_SYS(tgkill),      SCMP_SYS(pread64),
                                SCMP_SYS(close),  SCMP_SYS(sched_yield), SCMP_SYS(getcpu)};
/// What malloc calls, and abort, and the clocks where the kernel does not put them into the process.
constexpr int for_bodies[] = {SCMP_SYS(brk),          SCMP_SYS(mmap),    SCMP_SYS(munmap),
                              SCMP_SYS(mremap),       SCMP_SYS(madvise), SCMP_SYS(rt_sigprocmask),
                              SCMP_SYS(clock_gettime)};

void check(int result, const char* call) {
    if (result < 0) {
        throw std::system_error(-result, std::generic_category(), call);
    }
}

} // namespace

void allow_computing_only() {
    const std::unique_ptr<void, void (*)(void*)> filter(::seccomp_init(SCMP_ACT_TRAP),
                                                        [](void* made) { ::seccomp_release(made); });
    if (!filter) {
        throw std::system_error(ENOMEM, std::generic_category(), "seccomp_init");
    }
    for (const int call : for_forkflow) {
        check(::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0), "seccomp_rule_add");
    }
    for (const int call : for_bodies) {
        check(::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0), "seccomp_rule_add");
    }
    check(::seccomp_load(filter.get()), "seccomp_load");
}
