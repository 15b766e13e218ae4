// SPDX-License-Identifier: MIT
// The CPUs on which the calling thread may run.
#pragma once

#include <sched.h>

#include <cerrno>
#include <cstddef>
#include <system_error>

namespace forkflow_test {

inline cpu_set_t allowed_cpus() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
    }
    return allowed;
}

inline void allow(const cpu_set_t& cpus) {
    if (::sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
        throw std::system_error(errno, std::generic_category(), "sched_setaffinity");
    }
}

inline std::size_t last_of(const cpu_set_t& cpus) {
    std::size_t last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &cpus)) {
        --last;
    }
    return last;
}

inline cpu_set_t only(std::size_t cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return one;
}

inline bool are_same(const cpu_set_t& left, const cpu_set_t& right) {
    return CPU_EQUAL(&left, &right) != 0;
}

} // namespace forkflow_test
