// SPDX-License-Identifier: MIT
// The parent's side of the protocol over memory in which anything may stand: a script of bytes says how the
// pool is bounded, what workers do and wild ones write, who dies, what is put and when it is collected.
#pragma once

#include <forkflow/nodes/extent_memory.hpp>
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/result_check.hpp>
#include <forkflow/nodes/supervisor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
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
        demand(requests_.has_room()); // no byte is counted any more
        sweep();
        sweep();
        demand(extents_.kept_bytes() == 0);
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
    static constexpr std::size_t page = forkflow::nodes::page_bytes;

    static forkflow::pool_options options_from(script& from) {
        // The clock decides nothing: all have time, or nobody whose clock runs.
        constexpr std::array deadlines = {std::chrono::nanoseconds(0), std::chrono::nanoseconds(1),
                                          std::chrono::nanoseconds(std::chrono::hours(24 * 365))};
        constexpr std::array<std::size_t, 4> bounds = {0, 600, 2 * page, 8 * page};
        return forkflow::resolved({.workers = 3,
                                   .window = 4,
                                   .requests = 5,
                                   .max_message_bytes = 3 * page,
                                   .window_bytes = bounds[from.below(bounds.size())],
                                   .verify_results = from.below(2) == 1,
                                   .deadline = deadlines[from.below(deadlines.size())],
                                   .attempts = 3,
                                   .recycle_after = 1,
                                   .init_deadline = {}});
    }

    void act() {
        switch (script_.below(12)) {
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
        case 5:
            sweep();
            break;
        case 6:
        case 7:
        case 8:
            work();
            break;
        default:
            put();
        }
    }

    /// What is open to all; or what is some worker's own, without the extents, whose bytes nobody looks at
    /// here.
    [[nodiscard]] std::span<std::byte> some_memory() {
        const auto seats = static_cast<std::uint32_t>(shared_.seats());
        const std::uint32_t seat = script_.below(2 * seats);
        std::byte* const begin = seat < seats ? shared_.memory().own(seat) : shared_.memory().open();
        const std::byte* const end = seat < seats ? shared_.result({.seat = seat}).extent.data()
                                                  : shared_.memory().own(0) - page; // the guard page
        return {begin, static_cast<std::size_t>(end - begin)};
    }
    void scribble() {
        const std::span<std::byte> memory = some_memory();
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
    /// As workers do, in part: claims a message, starts its clock, holds pages, publishes. In numbers and
    /// sizes the script may lie.
    void work() {
        using namespace forkflow::nodes;
        if (alive_.empty()) {
            return;
        }
        const worker_identity who = alive_[script_.below(static_cast<std::uint32_t>(alive_.size()))];
        const sequence number = window_.next_to_emit() + script_.below(6);
        const auto most = static_cast<std::uint32_t>(options_.max_message_bytes / page);
        state_word word = state_word::unpacked(shared_.state(number).load());
        seat_block& seat = shared_.seat(who.seat);
        switch (script_.below(4)) {
        case 0:
            seat.running_since_ns = std::chrono::steady_clock::now().time_since_epoch().count();
            break;
        case 1:
            shared_.held_pages(number) = script_.below(most + 3) | (script_.below(4) == 0 ? asking_bit : 0U);
            shared_.words_of(some_place(who)).taken_pages = script_.below(most + 3);
            break;
        case 2:
            if (word.state == message_state::ready) {
                word.state = message_state::claimed;
                word.seat = who.seat;
                word.incarnation = who.incarnation;
            }
            break;
        default:
            if (word.state == message_state::claimed) {
                word.state = message_state::published;
                const result_place where = some_place(who);
                shared_.words_of(where).user = number - shared_.first() + 1;
                shared_.place_of(number) = where.place + (script_.below(16) == 0 ? 1 : 0);
                slot_header& header = shared_.result(where).header;
                header.length_bytes = script_.below(static_cast<std::uint32_t>(most * page + 100));
                header.kind = script_.below(3);
                header.number = number;
                seat.running_since_ns = 0;
                if (script_.below(2) == 0) {
                    hand_in_honestly(number, where);
                }
            }
        }
        shared_.state(number) = word.packed();
    }
    /// Writes a result as a worker does that is not wild, and notes what it was.
    void hand_in_honestly(sequence number, forkflow::nodes::result_place where) {
        using namespace forkflow::nodes;
        const std::span<const std::uint8_t> bytes = script_.take(script_.below(inline_bytes + 1));
        const slot place = shared_.result(where);
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t*>(place.inline_area.data()));
        place.header = {.length_bytes = bytes.size(), .kind = place.header.kind % 2, .number = number};
        shared_.check(number) = result_check(number, static_cast<result_kind>(place.header.kind),
                                             place.inline_area.first(bytes.size()));
        handed_in_.emplace(number, std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
    }
    [[nodiscard]] forkflow::nodes::result_place some_place(const worker_identity& who) {
        return {.seat = who.seat, .place = script_.below(shared_.places())};
    }
    /// True if a worker that is not wild has handed in this result.
    [[nodiscard]] bool was_handed_in(sequence number, std::span<const std::byte> payload) const {
        const auto [first, end] = handed_in_.equal_range(number);
        return std::any_of(first, end, [&](const auto& one) {
            return std::ranges::equal(std::as_bytes(std::span(one.second)), payload);
        });
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
                forkflow::nodes::byte_writer to = extents_.request_writer(*number);
                const std::vector<std::byte> bytes(
                    script_.below(static_cast<std::uint32_t>(options_.max_message_bytes + 1)));
                to.write(bytes.data(), bytes.size());
                demand(!to.overflowed());
                requests_.commit_request(*number, bytes.size());
                supervisor_.message_committed();
            }
        }
    }
    /// As a collector does, which believes nothing.
    void collect() {
        while (const auto outcome = window_.peek()) {
            demand(outcome->number == emitted_ && emitted_ != requests_.next());
            if (outcome->payload.size() > forkflow::nodes::inline_bytes) {
                demand(extents_.is_result_there(outcome->number, outcome->where, outcome->payload.size()));
            }
            read(*outcome);
            if (options_.verify_results && outcome->state == forkflow::nodes::message_state::published &&
                outcome->sound) {
                demand(forkflow::nodes::result_check(outcome->number, outcome->kind, outcome->payload) !=
                           shared_.check(outcome->number) ||
                       was_handed_in(outcome->number, outcome->payload));
            }
            ++emitted_;
            release(outcome->number);
        }
    }
    /// As nodes::pool does.
    void release(sequence number) {
        if (options_.window_bytes == 0) {
            window_.release();
            return;
        }
        requests_.forget_bytes(number);
        extents_.trim(number);
        shared_.held_pages(number) = 0;
        window_.release();
        window_.admit();
    }
    void sweep() {
        window_.admit(); // so that what has left is counted
        const std::unique_lock no_numbers = requests_.no_new_numbers();
        extents_.sweep(window_.next_to_emit(), requests_.next());
    }
    void read(const forkflow::nodes::waiting_outcome& outcome) {
        using namespace forkflow::nodes;
        if (outcome.state == message_state::failed) {
            (void)failures_.take(outcome.number);
        } else if (outcome.state == message_state::published && outcome.sound) {
            const slot place = shared_.result(outcome.where);
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
    const forkflow::pool_options options_ = options_from(script_);
    const forkflow::nodes::rings shared_{options_, sequence{0} - 5};
    forkflow::nodes::seat_table seats_{shared_.seats()};
    forkflow::nodes::reorder_window window_{shared_};
    forkflow::nodes::failure_shelf failures_{shared_.capacity()};
    forkflow::nodes::word_guard guard_{shared_, seats_, failures_};
    forkflow::nodes::request_ring requests_{shared_, window_, failures_, guard_};
    forkflow::nodes::extent_memory extents_{shared_};
    forkflow::nodes::supervisor supervisor_{shared_,   options_, requests_, window_,
                                            failures_, seats_,   guard_,    *this};
    std::vector<worker_identity> alive_;
    std::deque<host_event> events_;
    sequence emitted_ = shared_.first();
    std::multimap<sequence, std::vector<std::uint8_t>> handed_in_;
    bool closed_ = false;
};

} // namespace forkflow_fuzz
