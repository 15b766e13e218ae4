// SPDX-License-Identifier: MIT
// Puts messages into a nodes::pool and takes its outcomes, as a node would, and checks each of them.
#pragma once

#include "engine_messages.hpp"
#include "engine_watchdog.hpp"
#include "engine_worlds.hpp"

#include <forkflow/nodes/pool.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace forkflow_test {

/// One outcome, as it left.
struct seen_outcome {
    std::uint64_t index = 0;
    forkflow::nodes::message_state state = forkflow::nodes::message_state::empty;
    unsigned attempts = 0;
    bool failed = false;
    forkflow::failure failure{};
    std::uint64_t producer = 0; ///< 0 if the result does not say
    std::string fault{};        ///< what is wrong with it; empty: nothing
};

/// All faults of these outcomes, one a line; empty if each is what it should be.
inline std::string faults(const std::vector<seen_outcome>& outcomes) {
    std::string all;
    for (const seen_outcome& one : outcomes) {
        all += one.fault.empty() ? "" : one.fault + "\n";
    }
    return all;
}

/// A pool in its world. put may be called from any thread, collect from one at a time.
template <class World>
class engine {
public:
    explicit engine(forkflow::pool_options options, passage_hook hook = {}, inner_body inside = {})
        : engine(std::move(options), std::move(hook), checking_body(std::move(inside)), [](auto&) {}) {}
    template <class Arrange>
    engine(forkflow::pool_options options, passage_hook hook, forkflow::nodes::worker_body body,
           Arrange arrange)
        : first_(options.testing.first_sequence)
        , pool_(prepared(std::move(options), std::move(hook), arrange), std::move(body),
                [this] { progress(); }) {
        world_.attach(pool_);
    }

    World& world() noexcept { return world_; }
    forkflow::nodes::pool& pool() noexcept { return pool_; }

    /// Reserves a number, waiting for room. Returns the message's index: how many came before it.
    std::uint64_t reserve(forkflow::nodes::message_kind kind = forkflow::nodes::message_kind::request) {
        for (;;) {
            const std::uint64_t seen = signals();
            if (const auto reserved = pool_.try_reserve(kind)) {
                return *reserved - first_; // no test puts more than 2^32 messages
            }
            const std::scoped_lock arming(arming_); // one registration at a time, as a node's pump does
            if (pool_.arm_for_room()) {
                wait_after(seen);
            } else {
                progress(); // this took back what another producer had registered
            }
        }
    }
    void commit(std::uint64_t index, std::uint64_t producer = 0) {
        const auto reserved = number_of(index);
        forkflow::nodes::byte_writer to = pool_.writer(reserved);
        write_request(to, {index, producer});
        pool_.commit_request(reserved, to);
    }
    void put(std::uint64_t producer = 0) { commit(reserve(), producer); }
    void put_many(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            put();
        }
    }
    void put_marker() { pool_.commit_marker(number_of(reserve(forkflow::nodes::message_kind::marker))); }

    /// Takes the next `count` outcomes, waiting for them, and rests.
    std::vector<seen_outcome> collect(std::size_t count) {
        std::vector<seen_outcome> taken;
        const std::scoped_lock collecting(pool_.collecting());
        while (taken.size() < count) {
            const std::uint64_t seen = signals();
            const std::size_t before = taken.size();
            while (taken.size() < count && take_one(taken)) {
            }
            if (taken.size() > before) {
                progress(); // what was released may be the room that producers wait for
            } else if (pool_.rest()) {
                wait_after(seen);
            }
        }
        [[maybe_unused]] const bool resting = pool_.rest();
        return taken;
    }
    [[nodiscard]] forkflow::statistics statistics() const { return pool_.snapshot(); }
    [[nodiscard]] bool deaths_become(std::uint64_t count) const {
        return eventually([&] { return pool_.snapshot().deaths == count; });
    }

    forkflow::nodes::sequence number_of(std::uint64_t index) const {
        return first_ + static_cast<forkflow::nodes::sequence>(index);
    }
    /// The pages that results hold at the moment, if no worker lies.
    [[nodiscard]] std::size_t held_pages() const {
        const forkflow::nodes::rings& shared = rings_of(rings_key(), pool_);
        std::size_t sum = 0;
        for (std::uint32_t slot = 0; slot < shared.window_slots(); ++slot) {
            const std::uint32_t word = shared.held_pages(slot).load();
            sum += (word & forkflow::nodes::asking_bit) == 0 ? word : 0;
        }
        return sum;
    }

    std::size_t longer_results = 0; ///< as checking_body was told

private:
    template <class Arrange>
    forkflow::pool_options prepared(forkflow::pool_options options, passage_hook hook, Arrange& arrange) {
        arrange(world_);
        world_.prepare(options, std::move(hook));
        return options;
    }
    bool take_one(std::vector<seen_outcome>& taken) {
        const auto waiting = pool_.peek();
        if (!waiting) {
            return false;
        }
        seen_outcome seen{.index = emitted_++, .state = waiting->state, .attempts = waiting->attempts};
        using fate = forkflow::nodes::pool::fate;
        fate counted_as = fate::marker;
        if (waiting->number != number_of(seen.index)) {
            seen.fault = "sequence " + std::to_string(waiting->number) + " left in place of " +
                         std::to_string(number_of(seen.index));
        } else if (forkflow::nodes::pool::is_failure(*waiting)) {
            counted_as = fate::failure;
            seen.failed = true;
            seen.failure = pool_.take_failure(*waiting);
        } else if (waiting->state == forkflow::nodes::message_state::published) {
            counted_as = fate::result;
            seen.fault = check_result(waiting->payload, seen.index, seen.producer, longer_results);
            if (!pool_.is_intact(*waiting)) { // only now: what was read before is what counts
                counted_as = fate::failure;
                seen.fault.clear();
                seen.failed = true;
                seen.failure = forkflow::nodes::pool::overwritten(*waiting);
            }
        }
        pool_.release(counted_as);
        taken.push_back(std::move(seen));
        return true;
    }

    std::uint64_t signals() {
        const std::scoped_lock lock(mutex_);
        return signals_;
    }
    void progress() {
        const std::scoped_lock lock(mutex_);
        ++signals_;
        changed_.notify_all();
    }
    void wait_after(std::uint64_t seen) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return signals_ != seen; });
    }

    World world_;
    const forkflow::nodes::sequence first_;
    std::mutex arming_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t signals_ = 0;
    std::uint64_t emitted_ = 0;
    forkflow::nodes::pool pool_; ///< last: its thread calls progress
};

} // namespace forkflow_test
