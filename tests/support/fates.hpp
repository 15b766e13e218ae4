// SPDX-License-Identifier: MIT
// What a body may do to itself, as its message orders it.
#pragma once

#include "support/catch.hpp"

#include <forkflow/failure.hpp>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include <unistd.h>

// The names are to be found in stack traces.
extern "C" {
[[gnu::noinline, noreturn]] inline void forkflow_test_aborts() {
    std::abort();
}
[[gnu::noinline, noreturn]] inline void forkflow_test_leaves_at_once() {
    ::_exit(3);
}
[[gnu::noinline, noreturn]] inline void forkflow_test_exits() {
    std::exit(4);
}
[[gnu::noinline]] __attribute__((no_sanitize("undefined", "address"))) inline int
forkflow_test_dereferences_null() {
    volatile int* volatile nowhere = nullptr;
    return *nowhere + 1;
}
[[gnu::noinline, noreturn]] inline void forkflow_test_throws_int() {
    throw 42;
}
[[gnu::noinline, noreturn]] inline void forkflow_test_throws_runtime_error() {
    throw std::runtime_error("no such page");
}
[[gnu::noinline, noreturn]] inline void forkflow_test_throws_bad_alloc() {
    throw std::bad_alloc();
}
[[gnu::noinline, noreturn]] inline void forkflow_test_is_killed() {
    ::raise(SIGKILL);
    std::abort();
}
}

namespace forkflow_test {

enum class fate : std::uint8_t {
    well,
    aborts,
    leaves_at_once,
    exits,
    dereferences_null,
    throws_int,
    throws_runtime_error,
    throws_bad_alloc,
    is_killed,
};

using result = std::uint32_t;

struct order {
    fate what = fate::well;
    std::uint32_t number = 0;
};

inline result meet(const order& one) {
    switch (one.what) {
    case fate::well:
        break;
    case fate::aborts:
        forkflow_test_aborts();
    case fate::leaves_at_once:
        forkflow_test_leaves_at_once();
    case fate::exits:
        forkflow_test_exits();
    case fate::dereferences_null:
        return static_cast<result>(forkflow_test_dereferences_null());
    case fate::throws_int:
        forkflow_test_throws_int();
    case fate::throws_runtime_error:
        forkflow_test_throws_runtime_error();
    case fate::throws_bad_alloc:
        forkflow_test_throws_bad_alloc();
    case fate::is_killed:
        forkflow_test_is_killed();
    }
    return one.number;
}

inline void check_names(const forkflow::failure& found, const std::string& function) {
    REQUIRE_FALSE(found.stack_trace.empty());
    const std::string text = found.stack_trace.to_string();
    INFO(text);
    CHECK(text.find(function) != std::string::npos);
}

} // namespace forkflow_test
