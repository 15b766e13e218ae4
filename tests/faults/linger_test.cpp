// SPDX-License-Identifier: MIT
// What the destructor of a node does with the messages inside.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/number_line.hpp"
#include "support/processes.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <thread>
#include <variant>

#include <unistd.h>

namespace linger_test {

using namespace std::chrono_literals;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::itself;
using forkflow_test::number;
using forkflow_test::number_line;
using forkflow_test::shared_flags;

namespace {

constexpr number count = 40;

/// Flags of the bodies below: how many have begun, how many have ended, and that they may go on.
enum flag : std::size_t { begun, ended, may_go_on, flag_count };

/// A body whose work has an effect at its end.
number_line::body body_with_effect(const shared_flags& flags) {
    return [&flags](number message) {
        flags.add(begun);
        flags.wait_for(may_go_on);
        std::this_thread::sleep_for(2ms); // work
        flags.add(ended);
        return message;
    };
}

pool_options lingering(std::chrono::nanoseconds linger) {
    return {.workers = 2, .window = count, .linger = linger};
}

} // namespace

TEST_CASE("The destructor of a node that lingers lets the messages inside end") {
    const bounded_test bounds;
    for (const std::chrono::nanoseconds linger :
         {std::chrono::nanoseconds(50s), std::chrono::nanoseconds::max()}) {
        const shared_flags flags(flag_count);
        auto line = std::make_unique<number_line>(lingering(linger), body_with_effect(flags));
        line->put(0, count);
        flags.wait_for(begun, 2);
        flags.set(may_go_on);
        line.reset();
        CHECK(flags.get(ended) == count);
    }
}

TEST_CASE("A node lingers through deaths, and retries what they interrupt") {
    const bounded_test bounds;
    const shared_flags flags(flag_count + count);
    auto line = std::make_unique<number_line>(lingering(50s), [&](number message) {
        flags.add(begun);
        flags.wait_for(may_go_on);
        if (message % 10 == 3 && flags.add(flag_count + message) == 0) {
            ::raise(SIGKILL);
        }
        flags.add(ended);
        return message;
    });
    line->put(0, count);
    flags.wait_for(begun, 2);
    flags.set(may_go_on);
    line.reset();
    CHECK(flags.get(ended) == count);
}

TEST_CASE("A node does not linger longer than it may") {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    auto line = std::make_unique<number_line>(lingering(200ms), body_with_effect(flags));
    line->put(0, count);
    flags.wait_for(begun, 2);
    const auto start = std::chrono::steady_clock::now();
    line.reset(); // the bodies wait for ever; that it ends is the watchdog's business
    CHECK(std::chrono::steady_clock::now() - start >= 200ms);
    CHECK(flags.get(ended) == 0);
}

TEST_CASE("A node that does not linger kills its workers at once") {
    const bounded_test bounds;
    const shared_flags flags(flag_count);
    auto line = std::make_unique<number_line>(lingering(0s), body_with_effect(flags));
    line->put(0, count);
    flags.wait_for(begun, 2);
    line.reset();
    flags.set(may_go_on); // nobody is there to go on
    CHECK(flags.get(begun) == 2);
    CHECK(flags.get(ended) == 0);
}

TEST_CASE("A node with nothing inside, or whose pool has failed, does not linger") {
    const bounded_test bounds;
    {
        number_line line(lingering(1h), itself);
        line.put(0, count);
        line.finish();
    }
    {
        pool_options options = lingering(1h);
        options.worker_init = [] { throw std::runtime_error("no licence"); };
        number_line line(options, itself);
        line.put(0, count);
    }
    for (const bool before : {true, false}) {
        const shared_flags flags(flag_count);
        auto line = std::make_unique<number_line>(lingering(1h), body_with_effect(flags));
        const auto kill = [] { ::kill(forkflow_test::fork_servers_of(::getpid()).at(0), SIGKILL); };
        line->put(0, count);
        flags.wait_for(begun, 2);
        if (before) {
            kill();
            line.reset();
        } else {
            std::thread killer([&] {
                std::this_thread::sleep_for(20ms); // it may as well be too early
                kill();
            });
            line.reset();
            killer.join();
        }
        CHECK(flags.get(ended) == 0);
    }
}

TEST_CASE("Markers inside a node that lingers hold up nobody") {
    const bounded_test bounds;
    using item = std::variant<number, char>;
    const shared_flags flags(flag_count);
    const number_line::body work = body_with_effect(flags);
    {
        tbb::flow::graph graph;
        forkflow::ordered_process_node<item, item> node(graph, lingering(50s), work);
        for (number message = 0; message < count; ++message) {
            node.try_put(item(message));
            node.try_put(item('m'));
        }
        flags.wait_for(begun, 2);
        flags.set(may_go_on);
    }
    CHECK(flags.get(ended) >= 2);
}

} // namespace linger_test
