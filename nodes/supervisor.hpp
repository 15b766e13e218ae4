// SPDX-License-Identifier: MIT
// The supervisor: learns of deaths and of what is overdue, has each death charged to its message, and
// replaces workers.
#pragma once

#include <forkflow/nodes/attribution.hpp>
#include <forkflow/nodes/cancel_look.hpp>
#include <forkflow/nodes/deadline_watch.hpp>
#include <forkflow/nodes/relief_desk.hpp>
#include <forkflow/nodes/word_guard.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forkflow::nodes {

/// Runs on a thread of its own and sleeps until its host tells something, somebody asks for something, or a
/// time has come. The counters and the requests are thread-safe.
///
/// It goes on without memory, as nobody else would see to what is inside: all lists have room for every seat
/// from the beginning, and words that there is no memory for are left out.
class supervisor {
public:
    supervisor(const rings& shared, const pool_options& options, request_ring& requests,
               const reorder_window& window, failure_shelf& failures, seat_table& seats, word_guard& guard,
               worker_host& host);

    /// To be called before run: `chore` is done in between; it returns for how many nanoseconds nothing is
    /// left to do, or -1: until the host is interrupted.
    void set_chore(std::function<std::int64_t()> chore) { chore_ = std::move(chore); }
    /// Starts the workers and tends them until the host is closed.
    void run();
    /// From now on deaths are expected. Thread-safe.
    void stop() noexcept { stopping_.store(true); }
    /// To be called after a commit: the watch on deadlines may be asleep. Thread-safe; free without
    /// deadlines.
    void message_committed() { watch_.message_committed(); }
    /// What is inside was given up: with options.kill_on_cancel, who is at work on it is killed. Thread-safe.
    void messages_withdrawn();
    /// From now on the parent is rung now and then to look whether it is cancelled. Thread-safe.
    void expect_cancel() noexcept { cancel_look_.expect(); }
    /// True, once, if it is to look. Thread-safe.
    [[nodiscard]] bool take_cancel_look() noexcept { return cancel_look_.take(); }
    /// A worker may have asked to be relieved. Thread-safe.
    void look_for_relief_requests();
    /// A word was found that no transition of the protocol can have written: kills all workers, and then lets
    /// its message fail. Thread-safe.
    void purge();

    [[nodiscard]] std::uint64_t deaths() const noexcept {
        return deaths_.load(std::memory_order_acquire); // the release in bury
    }
    [[nodiscard]] std::uint64_t recycled() const noexcept {
        return recycled_.load(std::memory_order_acquire); // the release in bury
    }
    [[nodiscard]] std::uint64_t retries() const noexcept { return attribution_.retries(); }

private:
    using clock = std::chrono::steady_clock;

    void handle(const host_event& event);
    void do_without(const host_event& refused);
    [[nodiscard]] std::int64_t tend();
    void fill(std::uint32_t seat);
    void fill_vacant_seats(clock::time_point now);
    void leave_vacant(std::uint32_t seat, std::string_view why);
    [[nodiscard]] std::chrono::milliseconds next_vacancy_of(std::uint32_t seat);
    void start_reliefs(clock::time_point now);
    [[nodiscard]] std::optional<std::uint32_t> spare_seat() const;
    void kill_slow_starters(clock::time_point now);
    [[nodiscard]] std::optional<clock::time_point> next_time() const;

    /// `reason`: as in attribution::settle; not empty: the worker is not to blame.
    void bury(const host_event& death, std::string_view reason = {}, bool was_too_slow = false);
    void bury_all_workers();
    /// Takes who sat there off all lists.
    void lay_out(std::uint32_t seat);
    /// Whatever a dead worker may have written, no sleeper stays asleep for it.
    void let_everybody_look();
    void replace(std::uint32_t seat, bool barren, bool owed, std::string_view why);
    void count_barren(std::string_view why);
    void forget_barren_deaths_after_progress();
    void give_up_retries(std::uint32_t seat, std::string_view why);
    bool any_ready();
    bool dies_idle_again(std::uint32_t seat);
    [[nodiscard]] bool is_settled(std::uint32_t seat) const;
    void begin_purge();
    void end_purge_without(const worker_identity& gone);
    void mend_all();
    [[nodiscard]] bool is_wild(sequence number) const;
    [[nodiscard]] bool any_wild() const;
    void bury_all(std::string_view why);
    [[nodiscard]] worker_stage stage_of(std::uint32_t seat) const;
    [[nodiscard]] std::string words_about_slowness() const;

    const rings& shared_;
    const pool_options& options_;
    request_ring& requests_;
    const reorder_window& window_;
    seat_table& seats_;
    word_guard& guard_;
    worker_host& host_;
    std::function<std::int64_t()> chore_;
    deadline_watch watch_;
    cancel_look cancel_look_;
    attribution attribution_;
    relief_desk reliefs_;
    struct vacancy {
        std::uint32_t seat;
        clock::time_point until;
    };
    /// Seats whose worker could not be made, or died before it was ready; the first to be filled in front.
    std::vector<vacancy> vacant_;
    std::vector<vacancy> slow_;     ///< seats whose worker may still be initialising, and until when it may
    std::vector<unsigned> in_vain_; ///< by seat: how often in a row its worker did not become ready
    std::vector<clock::time_point> begun_at_; ///< by seat: when its worker was started
    std::vector<unsigned> idle_deaths_;       ///< by seat: how many in a row died ready, without a message
    std::vector<worker_identity> too_slow_;   ///< who was killed in worker_init, and is not reaped yet
    std::vector<worker_identity> purged_;     ///< who lived when a wild word was found, and is not reaped yet
    std::vector<std::uint32_t> bereft_;       ///< seats whose workers died with their fork server
    std::atomic<bool> purge_wanted_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> deaths_{0};
    std::atomic<std::uint64_t> recycled_{0};
    sequence barren_at_;         ///< the next number to emit at the last death
    unsigned barren_deaths_ = 0; ///< of workers that never became ready, since one was seen that did
};

} // namespace forkflow::nodes
