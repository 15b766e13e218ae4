// SPDX-License-Identifier: MIT
// The pool: everything in nodes/ put together. Bytes go in, outcomes come out in order.
#pragma once

#include <forkflow/nodes/buffer_memory.hpp>
#include <forkflow/nodes/extent_memory.hpp>
#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/message_references.hpp>
#include <forkflow/nodes/polite_mutex.hpp>
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/portable_pool.hpp>
#include <forkflow/nodes/reorder_window.hpp>
#include <forkflow/nodes/request_ring.hpp>
#include <forkflow/nodes/same_cpu.hpp>
#include <forkflow/nodes/spinner.hpp>
#include <forkflow/nodes/statistics.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace forkflow::nodes {

/// A pool of worker processes with its rings. The fork server is forked in the constructor, so that the
/// workers inherit `body` and all that it refers to. Two threads of the parent belong to it: the supervisor,
/// and one that waits to be rung and calls `on_progress`. Both sleep while nothing happens.
///
/// Producing (try_reserve … commit) is thread-safe. Collecting (peek, take_failure, release, rest) is for one
/// thread at a time: whoever holds `collecting()`.
class pool {
public:
    /// `options` as the user gave them. `on_progress` is called, by the pool's own thread, once what
    /// collector or producers armed for may have come; it must not throw, and must not wait for the pool.
    /// Throws std::invalid_argument, std::system_error.
    /// `portable`: the body once more, for options.server; if that is not set, it is not needed.
    pool(pool_options options, worker_body body, std::function<void()> on_progress,
         const portable_body& portable = {});
    ~pool();
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    // Producing.
    [[nodiscard]] std::optional<sequence> try_reserve(message_kind kind) {
        return requests_.try_reserve(kind);
    }
    [[nodiscard]] reserved_run try_reserve(std::span<const message_kind> kinds) {
        return requests_.try_reserve(kinds);
    }
    /// Its writes throw no_message_memory.
    [[nodiscard]] byte_writer writer(sequence number) {
        return extents_.request_writer(number, &references_.of(number));
    }
    /// Commits what was written; what does not fit becomes a failure.
    void commit_request(sequence number, const byte_writer& written);
    void commit_marker(sequence number) { requests_.commit_marker(number); }
    void commit_failure(sequence number, failure outcome) {
        requests_.commit_failure(number, std::move(outcome));
    }
    /// See request_ring.
    [[nodiscard]] bool has_room(std::size_t more = 1) { return requests_.has_room(more); }
    [[nodiscard]] bool arm_for_room(room_ring when = room_ring::late) { return requests_.arm_for_room(when); }

    /// Memory that messages may refer to. Thread-safe, also after the pool's end.
    [[nodiscard]] buffer_memory& buffers() noexcept { return *buffers_; }

    // Collecting.
    [[nodiscard]] polite_mutex& collecting() const noexcept { return collecting_; }
    [[nodiscard]] std::optional<waiting_outcome> peek(std::uint32_t ahead = 0) {
        std::optional<waiting_outcome> next = window_.peek(ahead);
        if (!next) {
            window_.admit(); // whoever comes for nothing may come again, and never rest
        } else if (next->payload.size() > inline_bytes || next->attempts > 1) {
            see_to_memory(*next);
        }
        return next;
    }
    /// To be asked once a published result was decoded: false if what was read need not be what its worker
    /// has handed in, so that it must not leave. True without options.verify_results. Cost: a pass over it,
    /// but for what `copied` has taken in.
    [[nodiscard]] bool is_intact(const waiting_outcome& outcome, const copied_blocks& copied = {}) const;
    /// What becomes of it then.
    [[nodiscard]] static failure overwritten(const waiting_outcome& outcome);
    /// The failure that this outcome is: one of the parent's own, one that a worker described, or a header
    /// without sense. At most once per outcome. Only if is_failure.
    [[nodiscard]] failure take_failure(const waiting_outcome& outcome);
    [[nodiscard]] static bool is_failure(const waiting_outcome& outcome) noexcept {
        return outcome.state == message_state::failed ||
               (outcome.state == message_state::published &&
                (!outcome.sound || outcome.kind == result_kind::failure));
    }
    /// What becomes of a message whose state word somebody has changed who may not.
    [[nodiscard]] static failure corrupted(const waiting_outcome& outcome);
    /// Lets go of what the request holds beside its place, as nobody reads it once its outcome is there: its
    /// buffers, its bytes. release does it too.
    void let_go_of_request(sequence number);
    /// How an outcome is counted.
    enum class fate { result, failure, marker, dropped };
    void release(fate counted_as);
    /// To be called before the collector rests: lets workers go on, and arms. False: there is another
    /// outcome.
    [[nodiscard]] bool rest();
    /// Takes back what rest and arm_for_room have registered, whoever called them: for a collector that looks
    /// for outcomes and room by itself, and registers before it stops looking.
    void disarm() {
        note_collector_here(shared_.parent());
        window_.disarm();
        requests_.disarm_for_room();
    }
    /// True if outcomes have often come within a moment (see wait_a_moment) of late, so that it is worth
    /// while to look for the next one from now on, instead of being rung for it. Then takes back what rest
    /// has registered.
    [[nodiscard]] bool look_out();
    /// Waits a moment (options.spin, and not beyond `deadline`) for the next outcome, if there are messages
    /// inside, and while there are not more than `most_inside`. True: it is there. `collecting` is held again
    /// at the end; meanwhile others may collect, too.
    [[nodiscard]] bool wait_a_moment(std::unique_lock<polite_mutex>& collecting,
                                     spinner::time_point deadline = spinner::time_point::max(),
                                     std::size_t most_inside = any_number);
    static constexpr std::size_t any_number = std::numeric_limits<std::size_t>::max();

    /// Gives up what is inside: what no worker has claimed comes out as a failure at once, what one has
    /// claimed when he is through or, with options.kill_on_cancel, killed. Thread-safe.
    void withdraw();

    /// From now on on_progress is also called if messages are inside and none leaves: after 20 ms, after 40,
    /// …, once a second; with options.kill_on_cancel every 20 ms while something is inside. For who is not
    /// told that what is inside is to be given up. Thread-safe.
    void expect_cancel();
    /// True, once, if on_progress was called for that.
    [[nodiscard]] bool take_cancel_look();

    /// Messages that have a number and are not released. Exact for who holds collecting and is the only
    /// producer.
    [[nodiscard]] std::size_t in_flight() const noexcept {
        return static_cast<std::size_t>(distance(window_.next_to_emit(), requests_.next()));
    }

    /// Lets `on_progress` be called soon. Thread-safe.
    void ring() const { shared_.ring_parent(); }

    /// Drops what is inside, as it is finished, for options.linger at the most; then kills and reaps all
    /// workers and ends the pool's threads. Afterwards only collecting is allowed. The destructor does it
    /// too. Bounded: beyond that time nothing is waited for but the kernel and a call of on_progress that is
    /// under way.
    void stop() noexcept;

    [[nodiscard]] const pool_options& options() const noexcept { return options_; }
    /// How many sequences can be in flight at the most, rounded up to a power of two: for arrays indexed by
    /// sequence.
    [[nodiscard]] std::size_t capacity() const noexcept { return shared_.capacity(); }
    /// Thread-safe; waits for a collector that is at work. Cost: one look at each message in flight.
    [[nodiscard]] statistics snapshot() const;
    /// The same, for who holds collecting.
    [[nodiscard]] statistics snapshot_while_collecting() const;

private:
    void finish_what_is_inside();
    void drop_ready();
    void see_to_memory(waiting_outcome& outcome);
    [[nodiscard]] bool keeps_much() const noexcept;
    void see_to_sweep();
    [[nodiscard]] std::int64_t sweep_if_due();

    struct crew;
    struct counts {
        std::uint64_t results = 0;
        std::uint64_t failures = 0;
        std::uint64_t markers = 0;
        std::uint64_t dropped = 0;
    };

    pool_options options_;
    worker_body body_;
    rings shared_;
    seat_table seats_;
    reorder_window window_;
    failure_shelf failures_;
    word_guard guard_;
    request_ring requests_;
    extent_memory extents_;
    std::shared_ptr<buffer_memory> buffers_;
    reference_shelf references_;
    std::atomic<bool> sweep_coming_{false};
    std::chrono::steady_clock::time_point sweep_at_{}; ///< the supervisor's; 0: not set
    mutable polite_mutex collecting_;
    counts counts_;        ///< guarded by collecting_
    spinner for_outcomes_; ///< guarded by collecting_
    const std::size_t cpus_ = usable_cpus();
    std::unique_ptr<crew> crew_;
};

} // namespace forkflow::nodes
