// SPDX-License-Identifier: MIT
// What leaves, leaves in arrival order: whoever finishes first, across the wrap of the sequence, and however
// many producers there are.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace order_test {

using namespace std::chrono_literals;
using forkflow_test::bounded_test;
using forkflow_test::recorder;
using forkflow_test::shared_flags;

namespace {

/// The first sequence with which the wrap comes after `messages` messages.
constexpr std::uint32_t wrapping_after(std::uint32_t messages) {
    return std::uint32_t{0} - messages;
}

/// A node whose bodies say that they run, and wait until they are released.
class held_node {
public:
    held_node(std::size_t workers, std::size_t window, std::uint32_t messages)
        : running_(messages)
        , released_(messages)
        , node_(graph_,
                forkflow::pool_options{
                    .workers = workers,
                    .window = window,
                    .testing = {.first_sequence = wrapping_after(messages / 2), .looks = false}},
                [this](std::uint32_t message) {
                    running_.set(message);
                    released_.wait_for(message);
                    return message;
                })
        , results_(graph_, node_) {}

    void put_next() { REQUIRE(node_.try_put(put_++)); }
    void wait_until_running(std::uint32_t message) const { running_.wait_for(message); }
    [[nodiscard]] bool runs(std::uint32_t message) const { return running_.get(message) != 0; }
    void release(std::uint32_t message) const { released_.set(message); }

    /// Waits until as many results are out as may be, and checks that it is not more than that.
    void require_emitted(std::uint32_t count) const {
        results_.wait_for(count);
        REQUIRE(results_.size() == count);
    }
    void require_arrival_order() {
        graph_.wait_for_all();
        std::vector<std::uint32_t> expected(put_);
        std::iota(expected.begin(), expected.end(), 0U);
        REQUIRE(results_.values() == expected);
    }

private:
    shared_flags running_;
    shared_flags released_;
    tbb::flow::graph graph_;
    forkflow::ordered_process_node<std::uint32_t, std::uint32_t> node_;
    recorder<std::uint32_t> results_;
    std::uint32_t put_ = 0;
};

/// How many of the messages from the first on are released.
template <class Released>
std::uint32_t prefix_of(const Released& released) {
    return static_cast<std::uint32_t>(std::find(released.begin(), released.end(), false) - released.begin());
}

constexpr std::uint32_t batch = 5;

/// Calls `visit` with every order in which five messages can be released when only three can run at a time.
template <class Visit>
void for_each_order_on_three_workers(std::vector<std::uint32_t>& order, const Visit& visit) {
    if (order.size() == batch) {
        visit(order);
        return;
    }
    std::uint32_t runnable = 3; // the three oldest that are not released
    for (std::uint32_t message = 0; message < batch && runnable > 0; ++message) {
        if (std::find(order.begin(), order.end(), message) != order.end()) {
            continue;
        }
        --runnable;
        order.push_back(message);
        for_each_order_on_three_workers(order, visit);
        order.pop_back();
    }
}

} // namespace

TEST_CASE(
    "Five messages on five workers leave in arrival order, whichever of the 120 orders they finish in") {
    const bounded_test bounds;
    held_node node(5, 5, 120 * batch);
    std::array<std::uint32_t, batch> order{};
    std::iota(order.begin(), order.end(), 0U);
    std::uint32_t first = 0;
    do {
        for (std::uint32_t i = 0; i < batch; ++i) {
            node.put_next();
        }
        for (std::uint32_t i = 0; i < batch; ++i) {
            node.wait_until_running(first + i);
        }
        std::array<bool, batch> released{};
        for (const std::uint32_t message : order) {
            node.release(first + message);
            released[message] = true;
            node.require_emitted(first + prefix_of(released));
        }
        first += batch;
    } while (std::next_permutation(order.begin(), order.end()));
    REQUIRE(first == 120 * batch);
    node.require_arrival_order();
}

TEST_CASE("Five messages on three workers leave in arrival order, in every order that is possible") {
    const bounded_test bounds;
    constexpr std::uint32_t orders = 54;
    held_node node(3, batch, orders * batch);
    std::uint32_t first = 0;
    std::vector<std::uint32_t> start;
    for_each_order_on_three_workers(start, [&](const std::vector<std::uint32_t>& order) {
        for (std::uint32_t i = 0; i < batch; ++i) {
            node.put_next();
        }
        std::array<bool, batch> released{};
        std::uint32_t running = 0;
        for (std::uint32_t finished = 0; finished < batch; ++finished) {
            for (; running < std::min(batch, finished + 3); ++running) {
                node.wait_until_running(first + running);
            }
            CHECK((running == batch || !node.runs(first + running))); // three workers run three messages
            node.release(first + order[finished]);
            released[order[finished]] = true;
            node.require_emitted(first + prefix_of(released));
        }
        first += batch;
    });
    REQUIRE(first == orders * batch);
    node.require_arrival_order();
}

// ---------------------------------------------------------------------------------------------------------
// Very many messages that verify themselves

namespace {

/// Well-mixed bits of `x`.
constexpr std::uint64_t mixed(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31U);
}

struct label {
    std::uint32_t producer = 0;
    std::uint32_t index = 0; ///< the producer's own numbering
    std::uint64_t seed = 0;  ///< of the content
    std::uint64_t checksum = 0;
};
using item = std::pair<label, std::string>;

constexpr std::size_t longest = 400;

std::string content_of(std::uint64_t seed) {
    std::string content(seed % (longest + 1), '\0');
    std::uint64_t bits = seed;
    for (std::size_t at = 0; at < content.size(); at += sizeof bits) {
        bits = mixed(bits);
        std::memcpy(content.data() + at, &bits, std::min(sizeof bits, content.size() - at));
    }
    return content;
}

std::uint64_t checksum_of(const label& of, const std::string& content) {
    std::uint64_t sum = mixed(of.seed ^ (std::uint64_t{of.producer} << 32U) ^ of.index ^ content.size());
    for (std::size_t at = 0; at < content.size(); at += sizeof sum) {
        std::uint64_t part = 0;
        std::memcpy(&part, content.data() + at, std::min(sizeof part, content.size() - at));
        sum = mixed(sum ^ part);
    }
    return sum;
}

item make_item(std::uint32_t producer, std::uint32_t index, std::uint64_t seed) {
    label of{.producer = producer, .index = index, .seed = seed};
    std::string content = content_of(seed);
    of.checksum = checksum_of(of, content);
    return {of, std::move(content)};
}

bool is_intact(const item& one, std::uint64_t seed) {
    return one.first.seed == seed && one.second == content_of(seed) &&
           one.first.checksum == checksum_of(one.first, one.second);
}

std::uint64_t request_seed(std::uint32_t producer, std::uint32_t index) {
    return mixed((std::uint64_t{producer} << 32U) | index);
}
std::uint64_t result_seed(std::uint64_t of_request) {
    return mixed(of_request ^ 1U);
}

struct position {
    std::uint32_t producer;
    std::uint32_t index;
};
struct batch_done {
    std::shared_ptr<const position> where;
};
using traffic = std::variant<item, batch_done>;

/// Makes a new item out of an intact one; else one that nobody takes for intact.
item answer(const item& question) {
    const label& of = question.first;
    return is_intact(question, of.seed) ? make_item(of.producer, of.index, result_seed(of.seed)) : item();
}

/// Checks everything as it comes: nothing is lost, doubled, changed or out of its producer's order.
class inspector {
public:
    explicit inspector(std::size_t producers)
        : next_(producers, 0) {}

    void take(const traffic& one) noexcept {
        const bool good = std::visit([this](const auto& each) { return is_next(each); }, one);
        bad_ += good ? 0U : 1U;
        ++taken_;
    }
    [[nodiscard]] std::size_t taken() const noexcept { return taken_; }
    [[nodiscard]] std::size_t bad() const noexcept { return bad_; }
    [[nodiscard]] const std::vector<std::uint32_t>& next() const noexcept { return next_; }

private:
    bool is_next(const item& one) {
        const auto [producer, index, seed, checksum] = one.first;
        return producer < next_.size() && next_[producer]++ == index &&
               is_intact(one, result_seed(request_seed(producer, index)));
    }
    bool is_next(const batch_done& one) {
        return one.where && one.where->producer < next_.size() &&
               next_[one.where->producer]++ == one.where->index;
    }

    std::vector<std::uint32_t> next_;
    std::size_t taken_ = 0;
    std::size_t bad_ = 0;
};

traffic message_of(std::uint32_t producer, std::uint32_t index) {
    if (index % 100 == 99) {
        return batch_done{std::make_shared<const position>(position{producer, index})};
    }
    return make_item(producer, index, request_seed(producer, index));
}

/// Sends very many messages from `producers` threads through a node. `put(node, message)` must succeed;
/// `taken()` is called for each that has left.
template <class Policy, class Put, class Taken>
void send_very_many(std::uint32_t producers, Put put, Taken taken) {
    const auto total = static_cast<std::uint32_t>(forkflow_test::scaled_down(1'000'000));
    const std::uint32_t each = total / producers;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<traffic, traffic, Policy> node(
        graph,
        forkflow::pool_options{.workers = 3,
                               .window = 64,
                               .testing = {.first_sequence = wrapping_after(total / 2), .looks = false}},
        answer);
    inspector sink(producers);
    tbb::flow::function_node<traffic, tbb::flow::continue_msg, tbb::flow::queueing_lightweight> out(
        graph, tbb::flow::serial, [&](const traffic& one) noexcept {
            sink.take(one);
            taken();
            return tbb::flow::continue_msg();
        });
    tbb::flow::make_edge(node, out);

    std::atomic<std::size_t> refused{0};
    std::vector<std::thread> threads;
    for (std::uint32_t producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (std::uint32_t index = 0; index < each; ++index) {
                refused += put(node, message_of(producer, index)) ? 0U : 1U;
            }
        });
    }
    for (std::thread& one : threads) {
        one.join();
    }
    graph.wait_for_all();
    REQUIRE(refused == 0);
    REQUIRE(sink.taken() == std::size_t{each} * producers);
    REQUIRE(sink.bad() == 0);
    REQUIRE(sink.next() == std::vector<std::uint32_t>(producers, each));
    const forkflow::statistics after = node.statistics();
    CHECK(after.markers == std::uint64_t{each / 100} * producers);
    CHECK(after.results == after.received - after.markers);
    CHECK(after.in_flight == 0);
    CHECK(after.deaths == 0);
}

void send_very_many_by_put(std::uint32_t producers) {
    send_very_many<tbb::flow::rejecting>(
        producers, [](auto& node, const traffic& message) { return node.put(message, 60s); }, [] {});
}

void send_very_many_by_try_put(std::uint32_t producers) {
    // The queue of a queueing node has no bound; so the producers keep to one.
    std::counting_semaphore<> ahead(10'000);
    send_very_many<tbb::flow::queueing>(
        producers,
        [&](auto& node, const traffic& message) {
            ahead.acquire();
            return node.try_put(message);
        },
        [&] { ahead.release(); });
}

} // namespace

TEST_CASE("A million messages and markers that one producer puts leave in order across the wrap") {
    const bounded_test bounds(250s);
    send_very_many_by_put(1);
}

TEST_CASE("A million messages and markers that eight producers put leave in each producer's order") {
    const bounded_test bounds(250s);
    send_very_many_by_put(8);
}

TEST_CASE(
    "A million messages and markers that one producer tries to put into a queueing node leave in order") {
    const bounded_test bounds(250s);
    send_very_many_by_try_put(1);
}

TEST_CASE("A million messages and markers that eight producers try to put leave in each producer's order") {
    const bounded_test bounds(250s);
    send_very_many_by_try_put(8);
}

} // namespace order_test
