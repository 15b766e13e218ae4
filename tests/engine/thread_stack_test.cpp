// SPDX-License-Identifier: MIT
// How full a thread's stack is, and further stacks for it.
#include "support/catch.hpp"
#include "support/limits.hpp"
#include "support/sanitized.hpp"

#include <forkflow/nodes/thread_stack.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sys/mman.h>
#include <sys/resource.h>

namespace thread_stack_test {

using forkflow::nodes::further_stack;
using forkflow::nodes::stack_is_half_empty;

namespace {

/// Calls `function` once half of the stack is used.
template <class Function>
void at_half(const Function& function) { // NOLINT(misc-no-recursion)
    std::array<volatile char, 1000> used{};
    used.front() = 1;
    if (stack_is_half_empty()) {
        at_half(function);
    } else {
        function();
    }
    used.back() = used.front();
}

} // namespace

TEST_CASE("Further stacks let one thread call deeper than its own stack holds") {
    const std::thread::id thread = std::this_thread::get_id();
    bool reached = false;
    at_half([&] {
        further_stack().call([&] {
            CHECK(stack_is_half_empty());
            at_half([&] {
                further_stack().call([&] {
                    CHECK(stack_is_half_empty());
                    reached = std::this_thread::get_id() == thread;
                });
                CHECK_FALSE(stack_is_half_empty());
            });
            CHECK(stack_is_half_empty());
        });
        CHECK_FALSE(stack_is_half_empty());
    });
    CHECK(stack_is_half_empty());
    CHECK(reached);
}

TEST_CASE("What is thrown on a further stack arrives where it was called from") {
    const further_stack further;
    for (int round = 0; round < 3; ++round) {
        try {
            throw std::runtime_error("first");
        } catch (const std::runtime_error& first) {
            CHECK_THROWS_WITH(further.call([] {
                try {
                    throw std::runtime_error("second");
                } catch (const std::runtime_error&) {
                    throw std::runtime_error("third");
                }
            }),
                              "third");
            CHECK_THROWS_WITH(throw, "first");
        }
        CHECK(stack_is_half_empty());
    }
}

namespace {

/// Takes some stack at each level, all of which is written to.
void go_down(int levels, bool and_throw) { // NOLINT(misc-no-recursion)
    std::array<volatile char, 200> used{};
    used.front() = 1;
    if (levels > 0) {
        go_down(levels - 1, and_throw);
    } else if (and_throw) {
        throw std::runtime_error("at the bottom");
    }
    used.back() = used.front();
}

} // namespace

TEST_CASE(
    "Frames that an exception left on a further stack are forgotten, there and by who gets its memory") {
    // What the address sanitizer knows of their arrays would be in the way.
    const std::size_t bytes = further_stack::size_bytes;
    for (int round = 0; round < 3; ++round) {
        {
            const further_stack further;
            further.call([] {
                CHECK_THROWS_WITH(go_down(50, true), "at the bottom");
                go_down(60, false);
            });
        }
        void* const next = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(next != MAP_FAILED);
        std::memset(next, 1, bytes);
        ::munmap(next, bytes);
    }
}

TEST_CASE("A further stack that the system has no memory for is an error that names the call") {
    if (forkflow_test::sanitized) {
        return; // the sanitizer itself needs address space
    }
    std::string what = "nothing was thrown";
    what.reserve(200);
    const forkflow_test::soft_limit address_space(RLIMIT_AS);
    address_space.set(1);
    try {
        const further_stack refused;
    } catch (const std::system_error& error) {
        what = error.what();
    }
    address_space.lift();
    CHECK(what == "mmap of a stack: Cannot allocate memory");
}

} // namespace thread_stack_test
