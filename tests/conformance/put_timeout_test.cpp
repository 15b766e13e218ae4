// SPDX-License-Identifier: MIT
// put from inside the graph when the system has no thread for its timeout: an error, and nothing else.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"

#include <forkflow/graph/protocol.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <vector>

#include <dlfcn.h>
#include <pthread.h>

namespace put_timeout_test {

namespace flow = tbb::flow;
using namespace std::chrono_literals;
using forkflow_test::bounded_test;
using forkflow_test::int_node;
using forkflow_test::rejecting_node;
using forkflow_test::same;
using forkflow_test::up_to;

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<bool> system_refuses{false};

} // namespace

/// In place of the C library's: what that one does, or a refusal.
extern "C" int pthread_create(pthread_t* made, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) noexcept {
    if (system_refuses.load()) {
        return EAGAIN;
    }
    static const auto original = reinterpret_cast<decltype(&::pthread_create)>(
        ::dlsym(RTLD_NEXT, "pthread_create")); // NOLINT(concurrency-mt-unsafe)
    return original(made, attributes, run, argument);
}

namespace {

/// A node before a successor that refuses until it is opened.
template <class Node>
void check_that_put_throws_and_the_node_goes_on() {
    flow::graph g;
    Node node(g, {.workers = 1, .window = 1, .requests = 1}, same);
    std::atomic<bool> open{false};
    std::atomic<flow::sender<int>*> refused{nullptr};
    std::vector<int> got;
    forkflow_test::own_receiver<int> sink(
        g,
        [&](int message) {
            if (open) {
                got.push_back(message);
            }
            return open.load();
        },
        [&](flow::sender<int>& from) { refused = &from; });
    flow::make_edge<int>(node, sink);
    int taken = 0;
    std::error_code code;
    flow::function_node<int, int> inside(g, flow::serial, [&](int message) {
        for (bool held_up = false, in = true; in || !held_up; taken += in ? 1 : 0) {
            held_up = refused.load() != nullptr;
            in = node.put(taken, 20ms);
        }
        system_refuses = true;
        try {
            node.put(message, 1h);
        } catch (const std::system_error& thrown) {
            code = thrown.code();
        }
        system_refuses = false;
        CHECK_FALSE(node.put(message, 20ms)); // it is as it was
        open = true;
        forkflow::graph::let_push<int>(*refused.load(), sink);
        CHECK(node.put(taken, 1h));
        return message;
    });
    inside.try_put(-1);
    g.wait_for_all();
    CHECK(code == std::errc::resource_unavailable_try_again);
    CHECK(got == up_to(taken + 1));
}

} // namespace

TEST_CASE("If there is no thread for its timeout, put throws, takes nothing, and the node goes on") {
    const bounded_test bounds;
    SECTION("a node with a queue") {
        check_that_put_throws_and_the_node_goes_on<int_node>();
    }
    SECTION("a rejecting node") {
        check_that_put_throws_and_the_node_goes_on<rejecting_node>();
    }
}

} // namespace put_timeout_test
