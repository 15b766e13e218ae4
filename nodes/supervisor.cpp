// SPDX-License-Identifier: MIT
#include <forkflow/nodes/seat_set.hpp>
#include <forkflow/nodes/supervisor.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace forkflow::nodes {
namespace {

/// So many workers in a row may die, or not come into being, before they looked for a message; then the pool
/// fails.
constexpr unsigned most_barren_deaths = 5;
/// How long a seat stays vacant whose worker could not be made, or died at once: so that nobody forks without
/// pause.
constexpr std::chrono::milliseconds vacancy_time(50);

std::string words_about(const host_event& death) {
    return death.signal != 0 ? std::string("the worker was killed by signal ") +
                                   std::to_string(death.signal) + " (" + ::sigdescr_np(death.signal) + ")"
                             : "the worker exited with status " + std::to_string(death.status);
}

} // namespace

supervisor::supervisor(const rings& shared, const pool_options& options, request_ring& requests,
                       const reorder_window& window, failure_shelf& failures, worker_host& host)
    : shared_(shared)
    , options_(options)
    , requests_(requests)
    , window_(window)
    , failures_(failures)
    , host_(host)
    , watch_(shared, options.deadline, requests, window, host)

    , incarnations_(shared.workers(), 0) {}

void supervisor::run() {
    for (std::uint32_t seat = 0; seat < shared_.workers(); ++seat) {
        fill(seat);
    }
    for (;;) {
        std::int64_t patience = watch_.kill_overdue(incarnations_);
        if (const std::int64_t due = fill_vacant_seats(); due > 0) {
            patience = patience < 0 ? due : std::min(patience, due);
        }
        const host_event event = host_.next_event(patience);
        switch (event.what) {
        case host_event::kind::died:
            bury(event);
            break;
        case host_event::kind::refused:
            leave_vacant(event.seat,
                         std::string("a worker could not be made: fork: ") + std::strerror(event.error));
            break;
        case host_event::kind::quiet:
            break;
        case host_event::kind::closed:
            bury_all({.kind = failure_kind::pool_failed,
                      .what = "the fork server, and all workers with it, are gone"});
            return;
        }
    }
}

void supervisor::fill(std::uint32_t seat) {
    seat_block& place = shared_.seat(seat);
    place.stage.store(static_cast<std::uint32_t>(worker_stage::starting), std::memory_order_relaxed);
    place.running_since_ns.store(0, std::memory_order_relaxed);
    shared_.words_of(seat).frame_count.store(0, std::memory_order_relaxed);
    shared_.words_of(seat).text_bytes = 0;
    shared_.words_of(seat).engine_frames = 0;
    incarnations_[seat] = (incarnations_[seat] + 1) & incarnation_mask;
    host_.start(seat,
                incarnations_[seat]); // the request's system call orders the stores before the new worker
}

std::int64_t supervisor::fill_vacant_seats() {
    const auto now = std::chrono::steady_clock::now();
    while (!vacant_.empty() && !stopping_.load()) {
        if (vacant_.front().until > now) {
            return std::chrono::nanoseconds(vacant_.front().until - now).count();
        }
        fill(vacant_.front().seat);
        vacant_.pop_front();
    }
    return 0;
}

void supervisor::leave_vacant(std::uint32_t seat, const std::string& why) {
    shared_.seat(seat).stage.store(static_cast<std::uint32_t>(worker_stage::starting),
                                   std::memory_order_relaxed);
    vacant_.push_back({.seat = seat, .until = std::chrono::steady_clock::now() + vacancy_time});
    if (++barren_deaths_ >= most_barren_deaths && !any_ready()) {
        bury_all({.kind = failure_kind::pool_failed, .what = why});
    }
}

bool supervisor::any_ready() {
    for (std::uint32_t seat = 0; seat < shared_.workers(); ++seat) {
        if (shared_.seat(seat).stage.load(std::memory_order_relaxed) ==
            static_cast<std::uint32_t>(worker_stage::ready)) {
            barren_deaths_ = 0;
            return true;
        }
    }
    return false;
}

void supervisor::bury(const host_event& death) {
    erase(shared_.idle_seats(), death.seat);
    erase(shared_.blocked_seats(), death.seat);
    shared_.seat(death.seat).running_since_ns.store(0, std::memory_order_relaxed);
    const std::optional<sequence> victim = watch_.take_victim(death.seat);
    if (stopping_.load()) {
        return;
    }
    const auto stage =
        static_cast<worker_stage>(shared_.seat(death.seat).stage.load(std::memory_order_relaxed));
    charge(death, victim);
    if (stage != worker_stage::leaving) {
        deaths_.fetch_add(1, std::memory_order_relaxed);
    }
    if (stage == worker_stage::starting || stage == worker_stage::initialising) {
        leave_vacant(death.seat,
                     "workers die before they come to take a message; the last: " + last_text(death));
    } else {
        fill(death.seat);
    }
    pass_wakes_on();
}

std::string supervisor::last_text(const host_event& death) const {
    const last_words& words = shared_.words_of(death.seat);
    const std::size_t size =
        std::min<std::size_t>(words.text_bytes, sizeof words.text); // copied once, then used
    return size > 0 ? "worker_init threw " + std::string(words.text, size) : words_about(death);
}

void supervisor::charge(const host_event& death, std::optional<sequence> victim) {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        // The owner is reaped, so a word that it claimed is nobody's but ours.
        if (word.number == number && word.state == message_state::claimed && word.seat == death.seat &&
            word.incarnation == death.incarnation) {
            const bool timed_out = victim == word.number;
            // Killed for the deadline of another message, which it had just finished: this one is innocent.
            const bool innocent = victim && !timed_out;
            settle(word, innocent, [&] { return cause_of(death, timed_out); });
        }
    }
}

template <class Cause>
void supervisor::settle(state_word word, bool innocent, Cause cause) {
    if (innocent || word.attempt < options_.attempts) {
        retries_.fetch_add(1, std::memory_order_relaxed);
        word.attempt += innocent ? 0 : 1;
        word.state = message_state::ready;
        word.seat = 0;
        word.incarnation = 0;
    } else {
        failure outcome = cause();
        outcome.attempts = word.attempt;
        failures_.put(word.number, std::move(outcome));
        word.state = message_state::failed;
    }
    shared_.state(word.number).store(word.packed(), std::memory_order_seq_cst);
    shared_.parent().reopened.fetch_add(1, std::memory_order_seq_cst); // (D1)
}

failure supervisor::cause_of(const host_event& death, bool timed_out) const {
    failure cause{.kind = timed_out ? failure_kind::timed_out : failure_kind::crashed,
                  .pid = death.pid,
                  .signal = death.signal,
                  .status = death.status,
                  .peak_memory_kib = death.peak_memory_kib,
                  .what = timed_out ? "the deadline passed and the worker was killed" : words_about(death)};
    const last_words& words = shared_.words_of(death.seat);
    const std::size_t frames =
        std::min<std::size_t>(words.frame_count.load(std::memory_order_acquire), max_stack_frames);
    constexpr std::size_t handler_frames = 2; // the handler and what the kernel returns to
    if (frames > handler_frames) {
        cause.stack_trace.frames.assign(words.frames + handler_frames, words.frames + frames);
        cut_engine_frames(cause.stack_trace, std::min<std::size_t>(words.engine_frames, max_stack_frames));
    }
    return cause;
}

void supervisor::bury_all(const failure& reason) {
    if (stopping_.exchange(true)) {
        return;
    }
    host_.close();
    while (host_.next_event(-1).what != host_event::kind::closed) {
    }
    requests_.fail_all(reason);
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.state == message_state::claimed && word.seat != parent_seat) {
            failures_.put(word.number, reason);
            state_word failed = word;
            failed.state = message_state::failed;
            shared_.state(word.number).store(failed.packed(), std::memory_order_seq_cst);
        }
    }
    shared_.ring_parent();
}

void supervisor::pass_wakes_on() const {
    shared_.ring_parent();
    shared_.ring_one_idle();
}

} // namespace forkflow::nodes
