// SPDX-License-Identifier: MIT
// The rings: where in the shared mapping each part of the protocol lies, behind named accessors.
#pragma once

#include <forkflow/nodes/commit_log.hpp>
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/shared_mapping.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

namespace forkflow::nodes {

/// One slot of either ring: its header, the payload that fits in it, and the extent for one that does not.
struct slot {
    slot_header& header;
    std::span<std::byte> inline_area; ///< inline_bytes long, in cache lines of its own
    std::span<std::byte> extent;      ///< page-aligned, address space until touched

    /// The payload of `length_bytes`; empty if that is more than the slot can hold.
    [[nodiscard]] std::span<const std::byte> payload(std::size_t length_bytes) const noexcept {
        if (length_bytes <= inline_area.size()) {
            return inline_area.first(length_bytes);
        }
        return length_bytes <= extent.size() ? std::span<const std::byte>(extent.first(length_bytes))
                                             : std::span<const std::byte>();
    }
};

/// One of the places for results.
struct result_place {
    std::uint32_t seat = 0;
    std::uint32_t place = 0;
};

/// The bytes of the pages that `bytes` take.
[[nodiscard]] constexpr std::size_t whole_pages(std::size_t bytes) noexcept {
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/// How much of an extent of `most` bytes is worth asking for if `bytes` are needed and `before` are there:
/// whole pages, and a quarter more if little by little is written.
[[nodiscard]] constexpr std::size_t room_to_ask_for(std::size_t bytes, std::size_t before,
                                                    std::size_t most) noexcept {
    const std::size_t wanted = whole_pages(std::max(bytes, before + before / 4));
    return std::min(wanted, most);
}

/// The shared memory of one pool. Addresses are the same in the parent and in the workers, which are forked
/// from it. Thread- and process-safe as the protocol says; construction and accessors never block.
class rings {
public:
    /// `options` as resolved. The first message will have the number `first`. Throws std::system_error, also
    /// if the system has no memory for all that is touched without being asked for: words and slots.
    /// `existing`: the mapping that another process made with the same arguments; else they are made.
    rings(const pool_options& options, sequence first, std::optional<descriptor> existing = {});

    [[nodiscard]] std::size_t workers() const noexcept { return workers_; }
    /// The places for workers: one more than workers, for a relief, if workers are recycled.
    [[nodiscard]] std::size_t seats() const noexcept { return seats_; }
    [[nodiscard]] std::uint32_t window() const noexcept { return window_; }
    [[nodiscard]] std::uint32_t requests() const noexcept { return requests_; }
    /// How many sequences have a state word: a power of two, at least requests + window.
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    /// How many numbers have a word of held pages: a power of two, at least the window.
    [[nodiscard]] std::uint32_t window_slots() const noexcept { return window_slots_; }
    /// How many results of each seat have a place; the last one is for the next to emit.
    [[nodiscard]] std::uint32_t places() const noexcept { return places_; }
    [[nodiscard]] std::size_t max_message_bytes() const noexcept { return max_message_bytes_; }
    /// The bound on bytes; 0: none.
    [[nodiscard]] std::size_t window_bytes() const noexcept { return window_bytes_; }
    [[nodiscard]] sequence first() const noexcept { return first_; }

    [[nodiscard]] parent_block& parent() const noexcept { return *at<parent_block>(memory_.sealed(), 0); }
    [[nodiscard]] parent_bell& bell() const noexcept { return *at<parent_bell>(memory_.open(), 0); }
    [[nodiscard]] seat_set& idle_seats() const noexcept { return *at<seat_set>(memory_.open(), idle_offset); }
    [[nodiscard]] seat_set& blocked_seats() const noexcept {
        return *at<seat_set>(memory_.open(), blocked_offset);
    }
    /// Whose workers ask to be relieved.
    [[nodiscard]] seat_set& relief_wanted() const noexcept {
        return *at<seat_set>(memory_.open(), relief_wanted_offset);
    }
    [[nodiscard]] relief_order& order_for(std::uint32_t seat) const noexcept {
        return at<relief_order>(memory_.sealed(), orders_offset)[seat];
    }
    [[nodiscard]] seat_block& seat(std::uint32_t index) const noexcept {
        return at<seat_block>(memory_.open(), seats_offset)[index];
    }
    [[nodiscard]] last_words& words_of(std::uint32_t seat) const noexcept {
        return at<last_words>(memory_.open(), last_words_offset_)[seat];
    }
    [[nodiscard]] std::atomic<std::uint64_t>& state(sequence number) const noexcept {
        return at<state_cell>(memory_.open(), states_offset_)[number & (capacity_ - 1)].bits;
    }
    /// The result's checksum, if results are verified. Ordered by the state: stored before (P), loaded after.
    [[nodiscard]] std::atomic<std::uint64_t>& check(sequence number) const noexcept {
        return at<state_cell>(memory_.open(), states_offset_)[number & (capacity_ - 1)].check;
    }
    /// Where its worker says that the result is: a place of the seat that the state names. Ordered likewise.
    [[nodiscard]] std::atomic<std::uint32_t>& place_of(sequence number) const noexcept {
        return at<state_cell>(memory_.open(), states_offset_)[number & (capacity_ - 1)].place;
    }
    /// How many pages of its extent the result takes.
    [[nodiscard]] std::atomic<std::uint32_t>& held_pages(sequence number) const noexcept {
        return at<std::atomic<std::uint32_t>>(memory_.open(),
                                              held_pages_offset_)[number & (window_slots_ - 1)];
    }
    /// How many pages of a place's extent are there already: so many need no asking. Written by the parent
    /// alone, while no worker uses the place.
    [[nodiscard]] std::atomic<std::uint32_t>& pages_there(result_place where) const noexcept {
        return at<std::atomic<std::uint32_t>>(memory_.sealed(), pages_there_offset_)[index_of(where)];
    }
    /// What the worker says about its place.
    [[nodiscard]] place_words& words_of(result_place where) const noexcept {
        return at<place_words>(memory_.own(where.seat), place_words_offset_)[where.place];
    }
    /// Places, counted through all seats.
    [[nodiscard]] std::size_t index_of(result_place where) const noexcept {
        return std::size_t{where.seat} * places_ + where.place;
    }
    /// Whether there is such a place.
    [[nodiscard]] bool has(result_place where) const noexcept {
        return where.seat < seats_ && where.place < places_;
    }
    [[nodiscard]] slot request(sequence number) const noexcept {
        return slot_at(memory_.sealed(),
                       {request_headers_offset_, request_slots_offset_, request_extents_offset_},
                       number & (capacity_ - 1));
    }
    [[nodiscard]] slot result(result_place where) const noexcept {
        return slot_at(memory_.own(where.seat), {result_headers_offset_, 0, result_extents_offset_},
                       where.place);
    }
    /// The parent's own: workers have a copy of no use.
    [[nodiscard]] commit_log& commits() const noexcept { return commits_; }
    [[nodiscard]] const shared_mapping& memory() const noexcept { return *mapping_; }
    /// The same, for who needs it longer.
    [[nodiscard]] const std::shared_ptr<const shared_mapping>& shared_memory() const noexcept {
        return mapping_;
    }
    /// What messages may refer to; sealed.
    [[nodiscard]] std::span<std::byte> buffers() const noexcept {
        return {memory_.sealed() + buffers_offset_, buffer_bytes_};
    }

    /// Rings a sleeping worker whose name the caller has taken off a list.
    void ring_seat(std::uint32_t index) const noexcept;
    /// Rings the parent.
    void ring_parent() const noexcept;
    /// Rings one worker that sleeps for want of work: the waker's half of (D1). False: none sleeps.
    bool ring_one_idle() const noexcept;
    /// Rings every worker, asleep or not, whatever the lists of sleepers say.
    void ring_all_seats() const noexcept;
    /// Lets the worker `incarnation` in `seat` go before its next claim.
    void ask_to_leave(std::uint32_t seat, std::uint32_t incarnation) const noexcept;
    /// True if the collector waits for this number: the waker's look of (D3).
    [[nodiscard]] bool is_awaited(sequence number) const noexcept {
        return parent().armed.load(std::memory_order_seq_cst) == (arm_bit | number);
    }
    /// The next number to emit, as far as workers are told: never too high, and not behind while the
    /// collector waits. (D2): the sleeper's second look.
    [[nodiscard]] sequence next_to_emit() const noexcept {
        return parent().admitted.load(std::memory_order_seq_cst) - window_ + 1;
    }
    /// Notes that one message less waits or runs: the waker's half of (D4). True if the parent is to be rung
    /// for it.
    [[nodiscard]] bool count_down_room() const noexcept;

private:
    static constexpr std::size_t idle_offset = cache_line_bytes;
    static constexpr std::size_t blocked_offset = idle_offset + sizeof(seat_set);
    static constexpr std::size_t relief_wanted_offset = blocked_offset + sizeof(seat_set);
    static constexpr std::size_t seats_offset = relief_wanted_offset + sizeof(seat_set);
    static constexpr std::size_t orders_offset = sizeof(parent_block);

    /// Where the mapping's parts begin.
    class parts {
    public:
        explicit parts(const shared_mapping& mapping) noexcept
            : sealed_(mapping.sealed())
            , open_(mapping.open())
            , own_(mapping.own(0))
            , own_bytes_(static_cast<std::size_t>(mapping.own(1) - mapping.own(0))) {}
        [[nodiscard]] std::byte* sealed() const noexcept { return sealed_; }
        [[nodiscard]] std::byte* open() const noexcept { return open_; }
        [[nodiscard]] std::byte* own(std::uint32_t seat) const noexcept { return own_ + seat * own_bytes_; }

    private:
        std::byte* sealed_;
        std::byte* open_;
        std::byte* own_;
        std::size_t own_bytes_;
    };

    void provide_words_and_slots() const;
    void set_up();

    template <class T>
    static T* at(std::byte* base, std::size_t offset) noexcept {
        return reinterpret_cast<T*>(base + offset);
    }
    /// Where headers, inline areas and extents begin.
    struct slot_offsets {
        std::size_t headers;
        std::size_t inline_areas;
        std::size_t extents;
    };
    [[nodiscard]] slot slot_at(std::byte* base, const slot_offsets& offsets,
                               std::size_t index) const noexcept {
        return {.header = at<slot_header>(base, offsets.headers)[index],
                .inline_area = {base + offsets.inline_areas + index * inline_bytes, inline_bytes},
                .extent = {base + offsets.extents + index * extent_bytes_, extent_bytes_}};
    }

    std::size_t workers_;
    std::size_t seats_;
    std::uint32_t window_;
    std::uint32_t requests_;
    std::uint32_t capacity_;
    std::uint32_t window_slots_;
    std::uint32_t places_;
    std::size_t max_message_bytes_;
    std::size_t window_bytes_;
    std::size_t extent_bytes_;
    sequence first_;
    std::size_t pages_there_offset_;
    std::size_t request_slots_offset_;
    std::size_t request_headers_offset_;
    std::size_t request_extents_offset_;
    std::size_t last_words_offset_;
    std::size_t states_offset_;
    std::size_t held_pages_offset_;
    std::size_t open_bytes_;
    std::size_t result_headers_offset_;
    std::size_t place_words_offset_;
    std::size_t result_extents_offset_;
    std::size_t buffers_offset_;
    std::size_t buffer_bytes_;
    std::shared_ptr<const shared_mapping> mapping_;
    parts memory_;
    mutable commit_log commits_; ///< as changeable through a const rings as the memory is
};

} // namespace forkflow::nodes
