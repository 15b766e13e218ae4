// SPDX-License-Identifier: MIT
// The parent's side of the protocol over memory in which anything may stand: a script of bytes says what wild
// workers write, who dies, what is put and when it is collected.
#pragma once

#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/supervisor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <span>
#include <vector>

namespace forkflow_fuzz {

/// Reads a script; zeros behind its end.
class script {
public:
    explicit script(std::span<const std::uint8_t> bytes)
        : rest_(bytes) {}
    [[nodiscard]] bool over() const noexcept { return rest_.empty(); }
    std::uint32_t below(std::uint32_t limit) {
        const std::span<const std::uint8_t> two = take(2);
        return (two.size() < 2 ? 0U : two[0] + 256U * two[1]) % limit;
    }
    std::span<const std::uint8_t> take(std::size_t most) {
        const std::span<const std::uint8_t> taken = rest_.first(std::min(most, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

private:
    std::span<const std::uint8_t> rest_;
};

/// What must hold, also in an optimised build.
inline void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// A pool without threads and processes: its supervisor runs here, its workers are names, and whatever they
/// did stands in the script. The host carries out the script whenever the supervisor waits for it.
class scripted_pool final : public forkflow::nodes::worker_host {
    using host_event = forkflow::nodes::host_event;
    using sequence = forkflow::nodes::sequence;
    using worker_identity = forkflow::nodes::worker_identity;

public:
    explicit scripted_pool(std::span<const std::uint8_t> bytes)
        : script_(bytes) {}

    /// Runs the script to its end, and the pool to its own: each message comes out once, in order.
    void run() {
        supervisor_.run();
        collect();
        demand(emitted_ == requests_.next());
    }

    void start(std::uint32_t seat, std::uint32_t incarnation) override {
        if (script_.below(16) == 15) {
            events_.push_back(
                {.what = host_event::kind::refused, .seat = seat, .incarnation = incarnation, .error = 11});
        } else {
            alive_.push_back({.seat = seat, .incarnation = incarnation});
        }
    }
    void kill(std::uint32_t seat, std::uint32_t incarnation) override {
        if (std::erase(alive_, worker_identity{.seat = seat, .incarnation = incarnation}) > 0) {
            events_.push_back(
                {.what = host_event::kind::died, .seat = seat, .incarnation = incarnation, .signal = 9});
        }
    }
    void close() override {
        alive_.clear();
        closed_ = true;
    }
    void interrupt() override {}

    host_event next_event(std::int64_t /*patience_ns*/) override {
        if (closed_ || (script_.over() && events_.empty())) {
            closed_ = true; // all workers are gone with their host
            return {.what = host_event::kind::closed};
        }
        act();
        if (events_.empty()) {
            return {.what = host_event::kind::quiet};
        }
        const host_event event = events_.front();
        events_.pop_front();
        return event;
    }

private:
    void act() {
        switch (script_.below(8)) {
        case 0:
        case 1:
            scribble();
            break;
        case 2:
            die();
            break;
        case 3:
            collect();
            if (window_.arm() && guard_.is_wild(window_.next_to_emit())) {
                supervisor_.purge();
            }
            break;
        case 4:
            (void)requests_.count();
            (void)requests_.arm_for_room();
            break;
        default:
            put();
        }
    }

    /// Everything but the extents, whose bytes nobody looks at here.
    [[nodiscard]] std::span<std::byte> open_memory() const {
        std::byte* const begin = shared_.memory().open();
        return {begin, static_cast<std::size_t>(shared_.result(0).extent.data() - begin)};
    }
    void scribble() {
        const std::span<std::byte> memory = open_memory();
        const std::size_t words = memory.size() / 8;
        const std::size_t at = std::size_t{8} * script_.below(static_cast<std::uint32_t>(words));
        const std::span<const std::uint8_t> written = script_.take(1 + script_.below(64));
        std::memcpy(memory.data() + at, written.data(), std::min(written.size(), memory.size() - at));
    }
    void die() {
        if (!alive_.empty()) {
            const auto gone = alive_.begin() + script_.below(static_cast<std::uint32_t>(alive_.size()));
            events_.push_back(
                {.what = host_event::kind::died,
                 .seat = gone->seat,
                 .incarnation = gone->incarnation,
                 .status = static_cast<int>(script_.below(2)) * forkflow::nodes::broken_protocol_status});
            alive_.erase(gone);
        }
    }
    void put() {
        using forkflow::nodes::message_kind;
        const bool marker = script_.below(4) == 0;
        if (const auto number =
                requests_.try_reserve(marker ? message_kind::marker : message_kind::request)) {
            if (marker) {
                requests_.commit_marker(*number);
            } else if (script_.below(8) == 0) {
                requests_.commit_failure(*number, {});
            } else {
                requests_.commit_request(*number, 0);
            }
        }
    }
    /// As a collector does, which believes nothing.
    void collect() {
        while (const auto outcome = window_.peek()) {
            demand(outcome->number == emitted_ && emitted_ != requests_.next());
            read(*outcome);
            ++emitted_;
            window_.release();
        }
    }
    void read(const forkflow::nodes::waiting_outcome& outcome) {
        using namespace forkflow::nodes;
        if (outcome.state == message_state::failed) {
            (void)failures_.take(outcome.number);
        } else if (outcome.state == message_state::published && outcome.sound) {
            const slot place = shared_.result(outcome.number);
            const auto inside = [&](std::span<std::byte> area) {
                return outcome.payload.data() >= area.data() &&
                       outcome.payload.data() + outcome.payload.size() <= area.data() + area.size();
            };
            demand(outcome.payload.empty() || inside(place.inline_area) || inside(place.extent));
            try {
                byte_reader record(outcome.payload);
                (void)read_failure(record);
            } catch (const forkflow::not_decodable&) { // as it should
            }
        }
    }

    script script_;
    const forkflow::pool_options options_ = forkflow::resolved({.workers = 3,
                                                                .window = 4,
                                                                .requests = 5,
                                                                .max_message_bytes = 600,
                                                                .attempts = 3,
                                                                .recycle_after = 1,
                                                                .init_deadline = {}});
    const forkflow::nodes::rings shared_{options_, sequence{0} - 5};
    forkflow::nodes::seat_table seats_{shared_.seats()};
    forkflow::nodes::reorder_window window_{shared_};
    forkflow::nodes::failure_shelf failures_{shared_.capacity()};
    forkflow::nodes::word_guard guard_{shared_, seats_, failures_};
    forkflow::nodes::request_ring requests_{shared_, window_, failures_, guard_};
    forkflow::nodes::supervisor supervisor_{shared_,   options_, requests_, window_,
                                            failures_, seats_,   guard_,    *this};
    std::vector<worker_identity> alive_;
    std::deque<host_event> events_;
    sequence emitted_ = shared_.first();
    bool closed_ = false;
};

} // namespace forkflow_fuzz
