// SPDX-License-Identifier: MIT
// Messages whose constructors throw in the graph's own process: wait_for_all throws it, and after a reset the
// node is as good as new.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <atomic>
#include <new>
#include <vector>

namespace throwing_messages_test {

namespace flow = tbb::flow;
using forkflow_test::bounded_test;
using forkflow_test::for_ever;
using forkflow_test::own_receiver;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

/// Its next default constructor, or the next copy of a 2, throws if that is said.
struct fragile {
    static inline std::atomic<bool> next_default{false};
    static inline std::atomic<bool> next_copy_of_two{false};

    fragile() {
        if (next_default.exchange(false)) {
            throw std::bad_alloc();
        }
    }
    explicit fragile(int number)
        : value(number) {}
    fragile(const fragile& other)
        : value(other.value) {
        if (value == 2 && next_copy_of_two.exchange(false)) {
            throw std::bad_alloc();
        }
    }
    fragile(fragile&&) = default;
    fragile& operator=(const fragile&) = default;
    fragile& operator=(fragile&&) = default;
    ~fragile() = default;

    int value = 0;
};

} // namespace throwing_messages_test

template <>
struct forkflow::codec<throwing_messages_test::fragile> {
    static void encode(const throwing_messages_test::fragile& message, writer& to) {
        to.write_value(message.value);
    }
    static throwing_messages_test::fragile decode(reader& from) {
        return throwing_messages_test::fragile(from.read_value<int>());
    }
};

namespace throwing_messages_test {

TEST_CASE("A message that cannot be made to be pulled into ends the graph, and the node takes others after a "
          "reset") {
    const bounded_test bounds;
    const shared_flags let_go(1);
    flow::graph graph;
    forkflow::ordered_process_node<fragile, int, flow::rejecting> node(graph, forkflow_test::tiny(),
                                                                       [&](const fragile& message) {
                                                                           let_go.wait_for(0);
                                                                           return message.value;
                                                                       });
    const recorder<int> results(graph, node);
    flow::queue_node<fragile> queue(graph);
    flow::make_edge(queue, node);
    queue.try_put(fragile(0));
    queue.try_put(fragile(1));
    fragile::next_default = true; // when the first is through, the node asks for the second
    let_go.set(0);
    CHECK_THROWS_AS(graph.wait_for_all(), std::bad_alloc);
    REQUIRE_FALSE(fragile::next_default.load());

    flow::remove_edge(queue, node);
    graph.reset();
    const std::size_t before = results.size();
    CHECK(node.try_put(fragile(7)));
    CHECK(node.put(fragile(8), for_ever));
    graph.wait_for_all();
    CHECK(results.size() == before + 2);
    CHECK(results.values().back() == 8);
}

TEST_CASE(
    "An outcome that cannot be kept for who refuses it ends the graph, and the edge works after a reset") {
    const bounded_test bounds;
    flow::graph graph;
    forkflow::ordered_process_node<int, fragile> node(graph, 1, [](int message) { return fragile(message); });
    bool refuses = false;
    std::vector<int> got;
    own_receiver<fragile> picky(
        graph,
        [&](const fragile& offered) {
            if (!refuses) {
                got.push_back(offered.value);
            }
            return !refuses;
        },
        [](flow::sender<fragile>&) {});
    flow::make_edge(node, picky);
    REQUIRE(node.try_put(1));
    graph.wait_for_all();
    refuses = true;
    fragile::next_copy_of_two = true;
    REQUIRE(node.try_put(2));
    CHECK_THROWS_AS(graph.wait_for_all(), std::bad_alloc);
    REQUIRE_FALSE(fragile::next_copy_of_two.load());

    refuses = false;
    graph.reset();
    REQUIRE(node.try_put(3));
    REQUIRE(node.try_put(4));
    graph.wait_for_all();
    CHECK(got == std::vector<int>{1, 3, 4});
}

} // namespace throwing_messages_test
