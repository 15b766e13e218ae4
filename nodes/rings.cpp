// SPDX-License-Identifier: MIT
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace forkflow::nodes {
namespace {

/// Room for a failure's description, whatever max_message_bytes says.
constexpr std::size_t least_extent_bytes = std::size_t{64} << 10U;

/// So many results of one seat may wait for their turn, while the next one is being made. A worker that runs
/// ahead of the others gets four times its share of the window: memory is not to grow with workers × window.
std::uint32_t places_of_a_seat(const pool_options& options) {
    constexpr std::size_t few = 16;
    const std::size_t share = (options.window + options.workers - 1) / options.workers;
    return static_cast<std::uint32_t>(std::min(options.window, std::max(few, 4 * share))) + 1;
}

constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
    return (value + unit - 1) / unit * unit;
}

} // namespace

rings::rings(const pool_options& options, sequence first, std::optional<descriptor> existing)
    : workers_(options.workers)
    , seats_(options.workers + (options.recycles() ? 1 : 0))
    , window_(static_cast<std::uint32_t>(options.window))
    , requests_(static_cast<std::uint32_t>(options.requests))
    , capacity_(std::bit_ceil(window_ + requests_))
    , window_slots_(std::bit_ceil(window_))
    , places_(places_of_a_seat(options) + 1)
    , max_message_bytes_(options.max_message_bytes)
    , window_bytes_(options.window_bytes)
    , extent_bytes_(round_up(std::max(max_message_bytes_, least_extent_bytes), page_bytes))
    , first_(first)
    , pages_there_offset_(orders_offset + seats_ * sizeof(relief_order))
    , request_slots_offset_(
          round_up(pages_there_offset_ + seats_ * places_ * sizeof(std::atomic<std::uint32_t>), page_bytes))
    , request_headers_offset_(request_slots_offset_ + capacity_ * inline_bytes)
    , request_extents_offset_(round_up(request_headers_offset_ + capacity_ * sizeof(slot_header), page_bytes))
    , last_words_offset_(round_up(seats_offset + seats_ * sizeof(seat_block), cache_line_bytes))
    , states_offset_(last_words_offset_ + seats_ * sizeof(last_words))
    , held_pages_offset_(states_offset_ + capacity_ * sizeof(state_cell))
    , open_bytes_(held_pages_offset_ + window_slots_ * sizeof(std::atomic<std::uint32_t>))
    , result_headers_offset_(places_ * inline_bytes)
    , place_words_offset_(result_headers_offset_ + round_up(places_ * sizeof(slot_header), cache_line_bytes))
    , result_extents_offset_(round_up(place_words_offset_ + places_ * sizeof(place_words), page_bytes))
    , buffers_offset_(request_extents_offset_ + capacity_ * extent_bytes_)
    , buffer_bytes_(round_up(options.buffer_bytes, page_bytes))
    , mapping_(std::make_shared<const shared_mapping>(
          shared_mapping::sizes{.sealed_bytes = buffers_offset_ + buffer_bytes_,
                                .open_bytes = open_bytes_,
                                .own_bytes = result_extents_offset_ + places_ * extent_bytes_,
                                .owners = seats_},
          std::move(existing)))
    , memory_(*mapping_)
    , commits_(capacity_) {
    if (!existing) { // NOLINT(bugprone-use-after-move): moved from, it still tells whether there was one
        provide_words_and_slots();
        set_up();
    }
}

/// All that lies before the extents of any part. Nobody asks for it later: whoever touched a page of it that
/// the system then refuses would die of SIGBUS.
void rings::provide_words_and_slots() const {
    const auto provide = [this](std::byte* begin, std::size_t bytes) {
        if (!memory().provide({begin, round_up(bytes, page_bytes)})) {
            throw std::system_error(ENOMEM, std::system_category(), "madvise of the forkflow rings");
        }
    };
    provide(memory_.sealed(), request_extents_offset_);
    provide(memory_.open(), open_bytes_);
    for (std::uint32_t seat = 0; seat < seats_; ++seat) {
        provide(memory_.own(seat), result_extents_offset_);
    }
}

void rings::set_up() {
    parent().admitted.store(first_ + window_ - 1, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < capacity_; ++i) {
        // One lap behind, so that a worker which looks for work there sees "not yet submitted".
        const state_word before_first{.number = first_ + i - capacity_};
        state(first_ + i).store(before_first.packed(), std::memory_order_relaxed);
    }
    for (std::uint32_t seat = 0; seat < seats_; ++seat) {
        order_for(seat).seat.store(parent_seat, std::memory_order_relaxed);
    }
}

void rings::ring_seat(std::uint32_t index) const noexcept {
    seat(index).bell.store(1, std::memory_order_release); // the sleeper's acquire load in worker::sleep
    futex_wake(seat(index).bell, 1);
}

void rings::ring_parent() const noexcept {
    bell().rings.fetch_add(1, std::memory_order_release); // the acquire load in pool::listen
    futex_wake(bell().rings, 1);
}

bool rings::ring_one_idle() const noexcept {
    bool rang = false;
    for_each_seat(idle_seats(), seats_, [&](std::uint32_t seat) {
        if (erase(idle_seats(), seat)) {
            ring_seat(seat);
            rang = true;
        }
        return !rang;
    });
    return rang;
}

void rings::ring_all_seats() const noexcept {
    for (std::uint32_t seat = 0; seat < seats_; ++seat) {
        ring_seat(seat);
    }
}

void rings::ask_to_leave(std::uint32_t seat_index, std::uint32_t incarnation) const noexcept {
    seat(seat_index).leave.store(leave_bit | incarnation, std::memory_order_seq_cst); // (D1)
    ring_seat(seat_index);
}

bool rings::count_down_room() const noexcept {
    std::atomic<std::int32_t>& countdown = bell().room_countdown;
    return countdown.load(std::memory_order_seq_cst) > 0 &&
           countdown.fetch_sub(1, std::memory_order_seq_cst) == 1;
}

} // namespace forkflow::nodes
