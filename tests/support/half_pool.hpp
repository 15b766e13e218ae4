// SPDX-License-Identifier: MIT
// A pool without a worker and a supervisor: the test moves the state words as they would.
#pragma once

#include "support/catch.hpp"

#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/request_ring.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace forkflow_test {

namespace nodes = forkflow::nodes;

/// The parent's half of a pool, and a worker that the test plays.
struct half_pool {
    half_pool(std::size_t window_size, std::size_t most_requests, nodes::sequence first,
              std::size_t workers = 2)
        : options(forkflow::resolved({.workers = workers,
                                      .window = window_size,
                                      .requests = most_requests,
                                      .max_message_bytes = 1024}))
        , shared(options, first) {}

    nodes::state_word word(nodes::sequence at) const {
        return nodes::state_word::unpacked(shared.state(at).load());
    }
    void set(const nodes::state_word& to) { shared.state(to.number).store(to.packed()); }
    void claim(nodes::sequence at) {
        nodes::state_word now = word(at);
        REQUIRE((now.number == at && now.state == nodes::message_state::ready));
        now.state = nodes::message_state::claimed;
        now.seat = 1;
        now.incarnation = 3;
        set(now);
    }
    /// The worker has died: only its heir may claim it.
    void bequeath(nodes::sequence at) {
        nodes::state_word now = word(at);
        REQUIRE(now.state == nodes::message_state::claimed);
        now.state = nodes::message_state::ready;
        now.attempt = std::min(now.attempt + 1, nodes::max_attempts);
        now.incarnation += 1;
        set(now);
    }
    void publish(nodes::sequence at) {
        const nodes::result_place where{.seat = 1, .place = (at - shared.first()) % shared.places()};
        shared.result(where).header = {.length_bytes = 0, .kind = 0, .number = at};
        shared.place_of(at) = where.place;
        nodes::state_word now = word(at);
        REQUIRE(now.state == nodes::message_state::claimed);
        now.state = nodes::message_state::published;
        set(now);
    }
    nodes::sequence admitted() const { return shared.parent().admitted.load(); }
    std::uint32_t rings() const { return shared.bell().rings.load(); }

    forkflow::pool_options options;
    nodes::rings shared;
    nodes::failure_shelf failures{shared.capacity()};
    nodes::reorder_window window{shared};
    nodes::seat_table seats{shared.seats()};
    nodes::word_guard guard{shared, seats, failures};
    nodes::request_ring requests{shared, window, failures, guard};
};

} // namespace forkflow_test
