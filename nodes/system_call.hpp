// SPDX-License-Identifier: MIT
// System calls whose failure is an exception that names the call.
#pragma once

#include <cerrno>
#include <system_error>

namespace forkflow::nodes {

/// Passes on a system call's result; -1 becomes std::system_error with errno and the call's name.
template <class Result>
Result checked(const char* call, Result result) {
    if (result == -1) {
        throw std::system_error(errno, std::system_category(), call);
    }
    return result;
}

/// Calls again while a signal interrupts the call.
template <class Call>
auto uninterrupted(Call&& call) noexcept(noexcept(call())) {
    auto result = call();
    while (result == -1 && errno == EINTR) {
        result = call();
    }
    return result;
}

} // namespace forkflow::nodes
