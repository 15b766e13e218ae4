// SPDX-License-Identifier: MIT
#include <forkflow/nodes/crew.hpp>
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/giving_way.hpp>
#include <forkflow/nodes/message_memory.hpp>
#include <forkflow/nodes/pool.hpp>
#include <forkflow/nodes/result_check.hpp>
#include <forkflow/nodes/same_cpu.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace forkflow::nodes {
namespace {

/// Not for long, as who collects may be waiting for what only this thread can bring about; but a collector
/// that is at work lets go again and again.
std::unique_lock<polite_mutex> try_collecting(polite_mutex& collecting) {
    constexpr int most_tries = 100;
    std::unique_lock lock(collecting, std::try_to_lock);
    for (int tries = 1; !lock && tries < most_tries; ++tries) {
        std::this_thread::yield();
        lock = std::unique_lock(collecting, std::try_to_lock);
    }
    return lock;
}

failure too_large(std::size_t size_bytes, std::size_t limit_bytes) {
    return {.kind = failure_kind::too_large,
            .size_bytes = size_bytes,
            .limit_bytes = limit_bytes,
            .what = "the message has " + std::to_string(size_bytes) + " bytes; at most " +
                    std::to_string(limit_bytes) + " are allowed"};
}

} // namespace

pool::pool(pool_options options, worker_body body, std::function<void()> on_progress,
           const portable_body& portable)
    : options_(resolved(std::move(options)))
    , body_(std::move(body))
    , shared_(options_, options_.testing.first_sequence)
    , seats_(shared_.seats())
    , window_(shared_)
    , failures_(shared_.capacity())
    , guard_(shared_, seats_, failures_)
    , requests_(shared_, window_, failures_, guard_)
    , extents_(shared_)
    , buffers_(std::make_shared<buffer_memory>(shared_.shared_memory(), shared_.buffers()))
    , references_(shared_.capacity(), *buffers_)
    , for_outcomes_(options_.spin)
    , crew_(std::make_unique<crew>(*this, std::move(on_progress), portable)) {
    buffers_->set_on_idle([this] { see_to_sweep(); });
}

pool::~pool() {
    buffers_->set_on_idle({}); // they may outlive us
    stop();
}

void pool::stop() noexcept {
    crew_->stop_listening();
    if (options_.linger.count() > 0) {
        finish_what_is_inside();
    }
    crew_->stop();
}

void pool::finish_what_is_inside() {
    const auto end = std::chrono::steady_clock::now() + options_.linger;
    const std::scoped_lock lock(collecting_);
    for (;;) {
        const std::uint32_t heard =
            shared_.bell().rings.load(std::memory_order_acquire); // rings::ring_parent
        drop_ready();
        const auto left = end - std::chrono::steady_clock::now();
        if (in_flight() == 0 || left.count() <= 0 || crew_->is_over()) {
            return;
        }
        if (rest()) {
            futex_wait_for(shared_.bell().rings, heard, left);
        }
    }
}

void pool::drop_ready() {
    while (const std::optional<waiting_outcome> next = peek()) {
        if (is_failure(*next)) {
            (void)take_failure(*next);
        }
        release(fate::dropped);
    }
}

void pool::withdraw() {
    requests_.withdraw();
    crew_->tending.messages_withdrawn();
}

void pool::expect_cancel() {
    crew_->tending.expect_cancel();
}

bool pool::take_cancel_look() {
    return crew_->tending.take_cancel_look();
}

failure pool::corrupted(const waiting_outcome& outcome) {
    failure wild = word_guard::wild_word(outcome.number);
    wild.attempts = outcome.attempts;
    return wild;
}

bool pool::is_intact(const waiting_outcome& outcome, const copied_blocks& copied) const {
    if (!options_.verify_results) {
        return true;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst); // nothing that was read is read again behind this
    const std::uint64_t check = shared_.check(outcome.number).load(std::memory_order_relaxed); // (P)
    return result_check(outcome.number, outcome.kind, outcome.payload, copied) == check;
}

failure pool::overwritten(const waiting_outcome& outcome) {
    return {.kind = failure_kind::not_decodable,
            .sequence = outcome.number,
            .attempts = outcome.attempts,
            .what = "the result was overwritten: it is not what its worker has handed in"};
}

void pool::commit_request(sequence number, const byte_writer& written) {
    if (written.overflowed()) {
        requests_.commit_failure(number,
                                 told([&] { return too_large(written.size(), options_.max_message_bytes); }));
        return;
    }
    if (written.in_extent()) {
        see_to_sweep();
    }
    requests_.commit_request(number, written.size());
    crew_->tending.message_committed();
}

/// Whoever reads this result shall not die of it.
void pool::see_to_memory(waiting_outcome& outcome) {
    if (outcome.payload.size() > inline_bytes &&
        !extents_.is_result_there(outcome.number, outcome.where, outcome.payload.size())) {
        outcome.in_memory = outcome.sound = false;
        outcome.payload = {};
    }
    if (outcome.attempts > 1) {
        extents_.expect_unknown_pages(); // an earlier worker may have written something
    }
    see_to_sweep();
}

failure pool::take_failure(const waiting_outcome& outcome) {
    failure taken;
    if (outcome.state == message_state::failed) {
        std::optional<failure> kept = failures_.take(outcome.number);
        taken = kept ? std::move(*kept) : corrupted(outcome);
    } else {
        try {
            if (!outcome.in_memory) {
                throw no_message_memory(0);
            }
            if (!outcome.sound) {
                throw not_decodable("the header of a worker's result makes no sense");
            }
            byte_reader record(outcome.payload);
            taken = read_failure(record);
            if (!is_intact(outcome)) {
                taken = overwritten(outcome);
            }
        } catch (const not_decodable& refused) {
            taken = {.kind = failure_kind::not_decodable, .what = refused.what()};
        } catch (const no_message_memory& missing) {
            taken = {.kind = failure_kind::no_memory, .what = missing.what()};
        }
        taken.attempts = outcome.attempts;
    }
    taken.sequence = outcome.number;
    extents_.expect_unknown_pages(); // its workers may have written something
    see_to_sweep();
    return taken;
}

bool pool::keeps_much() const noexcept {
    constexpr std::size_t much = std::size_t{1} << 20U;
    return extents_.keeps_much() || buffers_->idle_bytes() > much;
}

/// If there are pages to be given back some time, the supervisor will.
void pool::see_to_sweep() {
    if (!sweep_coming_.load(std::memory_order_seq_cst) && keeps_much() &&
        !sweep_coming_.exchange(true, std::memory_order_seq_cst)) {
        crew_->host->interrupt();
    }
}

/// For the supervisor. Returns for how many nanoseconds no sweep is due; -1: until see_to_sweep.
std::int64_t pool::sweep_if_due() {
    using clock = std::chrono::steady_clock;
    constexpr std::chrono::seconds between_sweeps(1);
    if (!sweep_coming_.load(std::memory_order_seq_cst)) {
        return -1;
    }
    const clock::time_point now = clock::now();
    if (sweep_at_ == clock::time_point()) {
        sweep_at_ = now + between_sweeps;
    }
    if (now >= sweep_at_) {
        sweep_at_ = now + between_sweeps;
        if (const std::unique_lock collecting = try_collecting(collecting_); collecting) {
            window_.admit(); // what has left counts as inside before
            const std::unique_lock no_numbers = requests_.no_new_numbers();
            extents_.sweep(window_.next_to_emit(), requests_.next());
        }
        buffers_->sweep();
        sweep_coming_.store(false, std::memory_order_seq_cst); // say so, then look again
        if (keeps_much()) {
            sweep_coming_.store(true, std::memory_order_seq_cst);
        } else if (!sweep_coming_.load(std::memory_order_seq_cst)) {
            sweep_at_ = {};
            return -1;
        }
    }
    return std::chrono::nanoseconds(sweep_at_ - now).count();
}

bool pool::wait_a_moment(std::unique_lock<polite_mutex>& collecting, spinner::time_point deadline,
                         std::size_t most_inside) {
    if (in_flight() == 0 || in_flight() > most_inside) {
        return false;
    }
    const auto is_there = [this] { return window_.peek().has_value(); };
    // Who allows more than this wants single messages back soonest.
    constexpr std::chrono::nanoseconds most_moment = std::chrono::microseconds(50);
    giving_way others(shared_, cpus_, options_.spin);
    const auto may_sleep = [&] {
        return options_.spin <= most_moment && deadline - std::chrono::steady_clock::now() > 2 * most_moment;
    };
    const auto give_way = [&](std::chrono::nanoseconds) {
        note_collector_here(shared_.parent());
        collecting.unlock();
        (void)others(may_sleep() ? in_flight() : 0);
        collecting.lock();
    };
    return for_outcomes_.wait([&] { return is_there() || in_flight() > most_inside; }, deadline, give_way) &&
           is_there();
}

bool pool::look_out() {
    if (!for_outcomes_.is_worth_it()) {
        return false;
    }
    window_.disarm();
    return true;
}

bool pool::rest() {
    if (!window_.arm()) {
        return false;
    }
    if (guard_.is_wild(window_.next_to_emit())) {
        crew_->tending.purge();
    }
    return true;
}

void pool::let_go_of_request(sequence number) {
    references_.release(number);
    if (options_.window_bytes > 0) {
        requests_.forget_bytes(number);
    }
}

void pool::release(fate counted_as) {
    const sequence number = window_.next_to_emit();
    let_go_of_request(number);
    if (options_.window_bytes == 0) {
        window_.release();
    } else {
        extents_.trim(number);
        shared_.held_pages(number).store(0, std::memory_order_seq_cst); // (D2)
        window_.release();
        window_.admit(); // who waits for bytes goes by the next number to emit, so it never lags
    }
    std::uint64_t* const count[] = {&counts_.results, &counts_.failures, &counts_.markers, &counts_.dropped};
    ++*count[static_cast<std::size_t>(counted_as)];
}

statistics pool::snapshot() const {
    const std::scoped_lock lock(collecting_); // so that nothing is emitted between the lines
    return snapshot_while_collecting();
}

statistics pool::snapshot_while_collecting() const {
    statistics now;
    now.results = counts_.results;
    now.failures = counts_.failures;
    now.markers = counts_.markers;
    now.dropped = counts_.dropped;
    now.emitted = now.results + now.failures + now.markers + now.dropped;
    const request_ring::census counted = requests_.count();
    now.waiting = counted.waiting;
    now.running = counted.running;
    now.finished = counted.finished;
    now.in_flight = now.waiting + now.running + now.finished;
    now.received = now.emitted + now.in_flight;
    now.workers = options_.workers;
    now.window = options_.window;
    now.requests = options_.requests;
    now.deaths = crew_->tending.deaths();
    now.recycled = crew_->tending.recycled();
    now.retries = crew_->tending.retries();
    return now;
}

} // namespace forkflow::nodes
