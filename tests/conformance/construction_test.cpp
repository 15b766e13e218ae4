// SPDX-License-Identifier: MIT
// What a node can be made from: deduction as function_node's guides have it, std::invoke, types with no more
// than oneTBB asks for, and concepts that refuse the rest.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/node_makers.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"

#include <forkflow/codec.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace construction_test {

namespace flow = tbb::flow;
using forkflow::ordered_process_node;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::in_processes;
using forkflow_test::in_threads;
using forkflow_test::recorder;

namespace {

struct account {
    long balance = 0;
    [[nodiscard]] long doubled() const { return 2 * balance; }
    [[nodiscard]] long tripled() const noexcept { return 3 * balance; }
};

long twice(int message) {
    return 2L * message;
}
long thrice(const int& message) noexcept {
    return 3L * message;
}

struct for_lvalues {
    long operator()(int message) & { return message; } // NOLINT(readability-make-member-function-const)
};
struct for_const_lvalues {
    long operator()(const int& message) const& noexcept { return message; }
};
/// The operator with three arguments is no hindrance.
struct overloaded {
    long operator()(int message) { return message; } // NOLINT(readability-convert-member-functions-to-static)
    void operator()(int /*a*/, int /*b*/, int /*c*/) {}
};

template <class Input, class Output, class Node>
void check_types(const Node& /*node*/) {
    STATIC_REQUIRE(std::is_same_v<Node, ordered_process_node<Input, Output>>);
}

/// No more than oneTBB asks of an input: it can be made and copied, and no more.
struct plain_input {
    int value = 0;
    plain_input() = default;
    explicit plain_input(int number)
        : value(number) {}
    plain_input(const plain_input&) = default;
    plain_input& operator=(const plain_input&) = delete;
};
/// No more than oneTBB asks of an output: it can be copied.
struct plain_output {
    int value;
    explicit plain_output(int number)
        : value(number) {}
    plain_output(const plain_output&) = default;
    plain_output& operator=(const plain_output&) = delete;
};

} // namespace

} // namespace construction_test

template <>
struct forkflow::codec<construction_test::plain_input> {
    static void encode(const construction_test::plain_input& value, writer& to) {
        forkflow::encode(to, value.value);
    }
    static construction_test::plain_input decode(reader& from) {
        return construction_test::plain_input(forkflow::decode<int>(from));
    }
};

template <>
struct forkflow::codec<construction_test::plain_output> {
    static void encode(const construction_test::plain_output& value, writer& to) {
        forkflow::encode(to, value.value);
    }
    static construction_test::plain_output decode(reader& from) {
        return construction_test::plain_output(forkflow::decode<int>(from));
    }
};

namespace construction_test {

TEST_CASE("A node's types are deduced from functions, members and function objects of every qualification") {
    const bounded_test bounds;
    flow::graph g;
    check_types<int, long>(ordered_process_node(g, 1, twice));
    check_types<int, long>(ordered_process_node(g, 1, &thrice));
    check_types<account, long>(ordered_process_node(g, 1, &account::doubled));
    check_types<account, long>(ordered_process_node(g, 1, &account::tripled));
    check_types<account, long>(ordered_process_node(g, 1, &account::balance));
    check_types<int, long>(ordered_process_node(g, 1, for_lvalues()));
    check_types<int, long>(ordered_process_node(g, 1, for_const_lvalues()));
    check_types<int, long>(ordered_process_node(g, 1, overloaded()));
    check_types<std::string, int>(ordered_process_node(g, 1, [](const std::string&) noexcept { return 1; }));
    check_types<int, long>(ordered_process_node(g, pool_options{.workers = 1}, twice));
}

TEST_CASE("Policy and priority have their place in deduction") {
    const bounded_test bounds;
    flow::graph g;
    using flow::node_priority_t;
    using rejecting = ordered_process_node<int, long, flow::rejecting>;
    using queueing = ordered_process_node<int, long>;
    const ordered_process_node a(g, 1, twice, flow::rejecting());
    STATIC_REQUIRE(std::is_same_v<decltype(a), const rejecting>);
    const ordered_process_node b(g, 1, twice, node_priority_t(5));
    STATIC_REQUIRE(std::is_same_v<decltype(b), const queueing>);
    const ordered_process_node c(g, 1, twice, flow::rejecting(), node_priority_t(5));
    STATIC_REQUIRE(std::is_same_v<decltype(c), const rejecting>);
    const ordered_process_node d(g, pool_options{.workers = 1}, twice, flow::rejecting());
    STATIC_REQUIRE(std::is_same_v<decltype(d), const rejecting>);
    const ordered_process_node e(c); // NOLINT(performance-unnecessary-copy-initialization)
    STATIC_REQUIRE(std::is_same_v<decltype(e), const rejecting>);
}

TEST_CASE("Bodies are called through std::invoke") { // which function_node does only in later versions
    const bounded_test bounds;
    flow::graph g;
    ordered_process_node<account, long> by_function(g, flow::serial, &account::doubled);
    ordered_process_node<account, long> by_member(g, flow::serial, &account::balance);
    ordered_process_node<int, long> by_pointer(g, flow::serial, &twice);
    const recorder<long> functions(g, by_function);
    const recorder<long> members(g, by_member);
    const recorder<long> pointers(g, by_pointer);
    by_function.try_put({.balance = 4});
    by_member.try_put({.balance = 5});
    by_pointer.try_put(6);
    g.wait_for_all();
    CHECK(functions.values() == std::vector<long>{8});
    CHECK(members.values() == std::vector<long>{5});
    CHECK(pointers.values() == std::vector<long>{12});
}

TEST_CASE("A body may return what can only be moved") {
    const bounded_test bounds;
    flow::graph g;
    const auto make = [](int message) { return std::make_unique<int>(message); };
    ordered_process_node<int, std::shared_ptr<int>> shared(g, 1, make);
    const recorder<std::shared_ptr<int>> results(g, shared);
    shared.try_put(5);
    g.wait_for_all();
    REQUIRE(results.size() == 1);
    CHECK(*results.values().front() == 5);
}

TEST_CASE("What can only be moved leaves by reference, in order, and is missed by who refuses it") {
    const bounded_test bounds;
    using owned = std::unique_ptr<int>;
    flow::graph g;
    // No node of oneTBB takes it from here.
    ordered_process_node node(g, 2, [](int message) { return std::make_unique<int>(message); });
    STATIC_REQUIRE(std::is_same_v<decltype(node), ordered_process_node<int, owned>>);
    std::vector<int> got;
    forkflow_test::own_receiver<owned> taking(g, [&](const owned& one) {
        got.push_back(*one);
        return true;
    });
    std::vector<int> taken_by_other;
    forkflow_test::own_receiver<owned> refusing_some(
        g,
        [&](const owned& one) {
            if (*one % 10 != 3) {
                taken_by_other.push_back(*one);
            }
            return *one % 10 != 3;
        },
        [](flow::sender<owned>& /*from*/) { FAIL_CHECK("there is nothing that could be kept for it"); });
    flow::make_edge<owned>(node, taking);
    flow::make_edge<owned>(node, refusing_some);
    for (int i = 0; i < 100; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    REQUIRE(got.size() == 100);
    CHECK(std::is_sorted(got.begin(), got.end()));
    CHECK(got.front() == 0);
    CHECK(got.back() == 99);
    std::erase_if(got, [](int value) { return value % 10 == 3; });
    CHECK(taken_by_other == got);
}

TEMPLATE_TEST_CASE("Inputs need no assignment, outputs no assignment and no default", "", in_threads,
                   in_processes) {
    const bounded_test bounds;
    flow::graph g;
    using to_input = typename TestType::template node<plain_input, plain_input>;
    using to_output = typename TestType::template node<plain_input, plain_output>;
    to_input first(g, flow::serial,
                   [](const plain_input& message) { return plain_input(message.value + 1); });
    to_output second(g, flow::serial, [](const plain_input& message) { return plain_output(message.value); });
    std::mutex mutex; // oneTBB's own nodes may reorder, and so come at the same time
    std::vector<int> results;
    forkflow_test::own_receiver<plain_output> sink(g, [&](const plain_output& one) {
        const std::scoped_lock lock(mutex);
        results.push_back(one.value);
        return true;
    });
    flow::make_edge<plain_output>(second, sink);
    flow::make_edge(first, second);
    for (int i = 0; i < 100; ++i) {
        first.try_put(plain_input(i));
    }
    g.wait_for_all();
    CHECK(results.size() == 100);
    CHECK(std::count(results.begin(), results.end(), 100) == 1);
}

TEST_CASE("A successor that refuses may pull an outcome that cannot be assigned") {
    const bounded_test bounds;
    flow::graph g;
    ordered_process_node<int, plain_input> node(g, 1, [](int message) { return plain_input(message); });
    std::vector<int> got;
    flow::function_node<plain_input, int, flow::rejecting> sink(g, flow::serial, [&](const plain_input& one) {
        got.push_back(one.value);
        return 0;
    });
    flow::make_edge(node, sink);
    for (int i = 0; i < 500; ++i) {
        node.try_put(i);
    }
    g.wait_for_all();
    REQUIRE(got.size() == 500);
    CHECK(std::is_sorted(got.begin(), got.end()));
}

TEST_CASE("The type of the output is continue_msg if none is given") {
    STATIC_REQUIRE(std::is_same_v<ordered_process_node<int>, ordered_process_node<int, flow::continue_msg>>);
}

TEST_CASE("What cannot be a body is refused by a concept, not deep inside") {
    struct marker {};
    using node = ordered_process_node<int, int>;
    const auto body = [](int message) { return message; };
    const auto of_text = [](const std::string& text) { return text.size(); };
    const auto to_text = [](int message) { return std::to_string(message); };
    const auto with_marker = [](int message) { return message; };
    STATIC_REQUIRE(std::is_constructible_v<node, flow::graph&, std::size_t, decltype(body)>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<node, flow::graph&, std::size_t, decltype(of_text)>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<node, flow::graph&, std::size_t, decltype(to_text)>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<node, flow::graph&, std::size_t, std::string>);
    // A marker must have a place in Output.
    using variant = std::variant<int, marker>;
    STATIC_REQUIRE(std::is_constructible_v<ordered_process_node<variant, variant>, flow::graph&, std::size_t,
                                           decltype(with_marker)>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<ordered_process_node<variant, int>, flow::graph&,
                                                 std::size_t, decltype(with_marker)>);
    // Bodies are copied: to the workers and to copies of the node.
    const auto no_copy = [owned = std::unique_ptr<int>()](int message) { return message; };
    STATIC_REQUIRE_FALSE(std::is_constructible_v<node, flow::graph&, std::size_t, decltype(no_copy)>);
}

} // namespace construction_test
