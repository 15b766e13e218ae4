// SPDX-License-Identifier: MIT
// What a successor that has refused an outcome may do with the edge: get, reserve, release and consume, as
// oneTBB's buffers answer, call by call.
#include "support/catch.hpp"
#include "support/int_nodes.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"
#include "support/recorder.hpp"

#include <forkflow/graph/protocol.hpp>
#include <forkflow/ordered_process_node.hpp>

#include <vector>

namespace pull_protocol_test {

namespace flow = tbb::flow;
using forkflow_test::bounded_test;
using forkflow_test::int_node;
using forkflow_test::own_receiver;
using forkflow_test::recorder;
using forkflow_test::same;
using forkflow_test::up_to;

namespace {

constexpr int untouched = -77;

/// A node, and a successor that refuses what it is offered until it is `open`; then the test may ask
/// `edge()`.
class refused_node {
public:
    refused_node()
        : node_(g_, 2, same)
        , refusing_(
              g_, [this](int outcome) { return take(outcome); },
              [this](flow::sender<int>& from) {
                  ++turns_;
                  edge_ = &from;
              }) {
        flow::make_edge<int>(node_, refusing_);
    }

    /// Puts 0, 1, … `end` - 1, and waits until there is nothing to do but to ask.
    void pass(int end) {
        for (int i = 0; i < end; ++i) {
            REQUIRE(node_.try_put(i));
        }
        rest();
        REQUIRE(edge_ != nullptr);
    }
    void rest() { g_.wait_for_all(); }

    [[nodiscard]] flow::sender<int>& edge() const { return *edge_; }
    [[nodiscard]] flow::graph& graph() { return g_; }
    [[nodiscard]] int_node& node() { return node_; }
    [[nodiscard]] const std::vector<int>& pushed() const { return pushed_; }
    /// How often the edge was turned round.
    [[nodiscard]] int turns() const { return turns_; }

    /// Takes what it is offered from now on.
    void open() {
        open_ = true;
        forkflow::graph::let_push<int>(*edge_, refusing_);
    }

    void check_nothing_to_get() const {
        int value = untouched;
        CHECK_FALSE(edge_->try_get(value));
        CHECK_FALSE(edge_->try_reserve(value));
        CHECK(value == untouched);
    }
    void check_get(int expected) const {
        int value = untouched;
        CHECK(edge_->try_get(value));
        CHECK(value == expected);
    }
    void check_reserve(int expected) const {
        int value = untouched;
        CHECK(edge_->try_reserve(value));
        CHECK(value == expected);
    }

private:
    bool take(int outcome) {
        if (open_) {
            pushed_.push_back(outcome);
        }
        return open_;
    }

    flow::graph g_;
    int_node node_;
    bool open_ = false;
    int turns_ = 0;
    flow::sender<int>* edge_ = nullptr;
    std::vector<int> pushed_;
    own_receiver<int> refusing_;
};

} // namespace

TEST_CASE("What is reserved is nobody's until it is released, and then the same; once consumed, the next") {
    const bounded_test bounds;
    refused_node refused;
    refused.pass(3);
    refused.check_reserve(0);
    refused.check_nothing_to_get(); // while it is reserved
    CHECK(refused.edge().try_release());
    refused.check_reserve(0);
    refused.check_nothing_to_get();
    CHECK(refused.edge().try_consume());
    refused.rest();
    refused.check_get(1);
    refused.rest();
    refused.check_reserve(2);
    CHECK(refused.edge().try_release());
    refused.check_get(2);
    refused.rest();
    refused.check_nothing_to_get(); // all is taken
    CHECK(refused.turns() == 1);    // it was never pushed to meanwhile
}

TEST_CASE("While an outcome is reserved the others have it, and get the next once it is consumed") {
    const bounded_test bounds;
    refused_node refused;
    const recorder<int> others(refused.graph(), refused.node());
    refused.pass(3);
    refused.check_reserve(0);
    refused.rest();
    CHECK(others.values() == up_to(1));
    CHECK(refused.edge().try_release());
    refused.rest();
    CHECK(others.values() == up_to(1));
    for (int next = 0; next < 3; ++next) {
        CHECK(others.values() == up_to(next + 1));
        refused.check_reserve(next);
        CHECK(refused.edge().try_consume());
        refused.rest();
    }
    refused.check_nothing_to_get();
    CHECK(others.values() == up_to(3));
}

TEST_CASE("A successor that turns the edge back is pushed what it has refused, and all that follows") {
    const bounded_test bounds;
    refused_node refused;
    refused.pass(4);
    refused.check_get(0);
    refused.rest();
    SECTION("while nothing is reserved") {
        refused.open();
    }
    SECTION("after a reservation that it released") {
        refused.check_reserve(1);
        CHECK(refused.edge().try_release());
        refused.open();
    }
    refused.rest();
    CHECK(refused.pushed() == std::vector<int>{1, 2, 3});
    refused.check_nothing_to_get();
    CHECK(refused.turns() == 1);
}

TEST_CASE("What is reserved when the graph is reset is gone, and the stream begins anew") {
    const bounded_test bounds;
    refused_node refused;
    refused.pass(3);
    refused.check_reserve(0);
    refused.graph().reset();
    refused.check_nothing_to_get();
    CHECK(refused.edge().try_consume()); // of nothing
    refused.check_nothing_to_get();
    refused.pass(2);
    refused.check_get(0);
    refused.rest();
    refused.check_get(1);
    refused.rest();
    refused.check_nothing_to_get();
}

} // namespace pull_protocol_test
