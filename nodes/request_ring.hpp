// SPDX-License-Identifier: MIT
// The request ring: gives arriving messages their numbers, bounds them, and hands them to workers.
#pragma once

#include <forkflow/nodes/byte_budget.hpp>
#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/reorder_window.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/room_ring.hpp>
#include <forkflow/nodes/word_guard.hpp>

#include <atomic>
#include <mutex>
#include <optional>
#include <span>

namespace forkflow::nodes {

/// What a message will be in the stream.
enum class message_kind { request, marker };

/// Numbers that were given in one go: first, first + 1, ...
struct reserved_run {
    sequence first;
    std::uint32_t count;
};

/// The producers' half of the parent. Reserve a number, fill its slot, commit it; each reserved number must
/// be committed, once, in any order and from any thread. Thread-safe. Cost: one short lock for the number;
/// the slot is filled and committed without a lock.
class request_ring {
public:
    request_ring(const rings& shared, const reorder_window& window, failure_shelf& failures,
                 word_guard& guard);

    /// The next number, if the bounds allow one more message of this kind. Never blocks.
    [[nodiscard]] std::optional<sequence> try_reserve(message_kind kind);
    /// The next numbers for messages of these kinds, as far as the bounds allow, under one lock.
    [[nodiscard]] reserved_run try_reserve(std::span<const message_kind> kinds);
    /// True if try_reserve(request) would succeed for `more` messages now.
    [[nodiscard]] bool has_room(std::size_t more = 1);

    /// While it is held, no number is given.
    [[nodiscard]] std::unique_lock<std::mutex> no_new_numbers() { return std::unique_lock(reserving_); }
    /// Hands the request to the workers and wakes one if one sleeps. If the pool has failed, the message
    /// fails.
    void commit_request(sequence number, std::size_t length_bytes);
    void commit_marker(sequence number);
    void commit_failure(sequence number, failure outcome);

    /// To be called once the outcome with this number is there, before it is released: its request's bytes
    /// count no more. Again, it does nothing.
    void forget_bytes(sequence number) { bytes_.release(number); }

    /// Registers that the parent wants to be rung once room has appeared. Returns false if there is room now;
    /// a ring may then come for nothing.
    [[nodiscard]] bool arm_for_room(room_ring when = room_ring::late);
    /// Takes arm_for_room back, whoever called it.
    void disarm_for_room();

    /// Gives up every message up to here: what no worker has claimed fails, and nothing is retried.
    /// Thread-safe.
    void withdraw();
    /// Makes good what withdraw may have passed by: what was being committed then. Returns the number below
    /// which all is given up, unless all that has left. For the supervisor's thread.
    std::optional<sequence> look_after_withdrawn();
    [[nodiscard]] bool is_withdrawn(sequence number) const noexcept;
    /// Lets every message fail that only `heir` may retry: it will never begin.
    void fail_inheritance(const worker_identity& heir, const failure& reason);
    /// Lets every message that no worker has claimed, and every later one, fail with `reason`. The first
    /// reason stays. For one thread.
    void fail_all(failure reason) noexcept;

    /// Makes good a word that somebody has spoilt: its message fails. See word_guard::mend.
    void mend(sequence number);

    /// The number that the next message will get. seq_cst, so that no processor loads it before it has made
    /// an earlier seq_cst store: who says that it sleeps looks here afterwards
    /// (deadline_watch::falls_asleep).
    [[nodiscard]] sequence next() const noexcept { return next_.load(std::memory_order_seq_cst); }
    /// The messages in flight by what became of them. Exact while nothing moves; costs one look at each of
    /// them.
    struct census {
        std::uint32_t waiting = 0;
        std::uint32_t running = 0;
        std::uint32_t finished = 0;
    };
    [[nodiscard]] census count() const noexcept;

private:
    [[nodiscard]] bool room_for(message_kind kind, std::size_t more) noexcept;
    void see_what_has_left() noexcept;
    /// How far a message is.
    enum class progress { waiting, running, finished, emitted };
    struct glance {
        progress at;
        bool stops_workers; ///< no worker claims what comes after it as long as it is as it is
    };
    [[nodiscard]] glance look_at(sequence number) const noexcept;
    /// How many of those before `end` wait or run. With `reserving_` held. Costs a look at each that has
    /// finished since the last time, and at those in front of the first that waits for any worker: as workers
    /// stop there, all behind it wait, too, but for what the parent itself has finished.
    [[nodiscard]] std::size_t unfinished_before(sequence end) noexcept;
    /// How many results can still be published before the collector takes one.
    [[nodiscard]] std::uint32_t unfinished_in_window();
    /// To be called before this message gets its outcome without a worker; also if it may not get it after
    /// all.
    void note_finished_here(sequence number) noexcept;
    void wake_workers(sequence number) const;
    void finish(sequence number, message_state state);
    /// True if some did.
    bool fail_waiting_before(sequence end, const failure& reason);
    /// True if it did.
    bool fail_if_ready(sequence number, const failure& reason);
    void count_bytes(sequence number, std::size_t bytes);

    const rings& shared_;
    const reorder_window& window_;
    failure_shelf& failures_;
    word_guard& guard_;
    [[maybe_unused]] cache_line_gap producers_{};
    std::mutex reserving_;
    std::size_t spare_ = 0; ///< so many requests may surely come in; guarded by reserving_
    // Guarded by reserving_, too. They lag by a lap at the most, as more numbers are given only after a look
    // at what has left.
    sequence oldest_;                            ///< all before it have left
    sequence finished_to_;                       ///< all before it have finished
    std::atomic<sequence> next_;                 ///< changes under reserving_
    std::atomic<sequence> newest_finished_here_; ///< of those that got their outcome without a worker
    byte_budget bytes_;
    std::atomic<const failure*> broken_{nullptr};
    std::optional<failure> reason_;           ///< written once, before broken_ points to it
    std::atomic<std::uint64_t> withdrawn_{0}; ///< withdrawn_bit | the number before which all was withdrawn
    [[maybe_unused]] cache_line_gap others_{};
};

} // namespace forkflow::nodes
