// SPDX-License-Identifier: MIT
// Limits on what processes may use, and users to whom they apply.
#pragma once

#include "catch.hpp"

#include <algorithm>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace forkflow_test {

/// Becomes a user whom nobody else is: the superuser's processes are not limited in number.
inline void become_somebody() {
    constexpr ::uid_t first = 60'000;
    const ::uid_t user = first + static_cast<::uid_t>(::getpid()) % 5'000;
    REQUIRE(::setresgid(user, user, user) == 0);
    REQUIRE(::setresuid(user, user, user) == 0);
    ::prctl(PR_SET_DUMPABLE, 1); // so that /proc/self stays readable
}

inline bool is_superuser() {
    if (::geteuid() == 0) {
        return true;
    }
    WARN("not the superuser: a limit on processes is not tested");
    return false;
}

/// Sets the soft limit of a process, as far as its hard one allows.
inline void limit_of(::pid_t process, __rlimit_resource resource, rlim_t limit) {
    rlimit now{};
    REQUIRE(::prlimit(process, resource, nullptr, &now) == 0);
    now.rlim_cur = std::min(limit, now.rlim_max);
    REQUIRE(::prlimit(process, resource, &now, nullptr) == 0);
}

/// The soft limit of this process on one resource, as it was again at the end.
class soft_limit {
public:
    explicit soft_limit(__rlimit_resource_t resource)
        : resource_(resource) {
        ::getrlimit(resource_, &before_);
    }
    ~soft_limit() { lift(); }
    soft_limit(const soft_limit&) = delete;
    soft_limit& operator=(const soft_limit&) = delete;

    void set(rlim_t limit) const {
        const rlimit lower{.rlim_cur = limit, .rlim_max = before_.rlim_max};
        ::setrlimit(resource_, &lower);
    }
    void lift() const { ::setrlimit(resource_, &before_); }

private:
    __rlimit_resource_t resource_;
    rlimit before_{};
};

} // namespace forkflow_test
