// SPDX-License-Identifier: MIT
#include <forkflow/nodes/crew.hpp>
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/pool.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace forkflow::nodes {
namespace {

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
    , for_outcomes_(options_.spin)
    , crew_(std::make_unique<crew>(*this, std::move(on_progress), portable)) {}

pool::~pool() {
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

failure pool::corrupted(const waiting_outcome& outcome) {
    failure wild = word_guard::wild_word(outcome.number);
    wild.attempts = outcome.attempts;
    return wild;
}

void pool::commit_request(sequence number, const byte_writer& written) {
    if (written.overflowed()) {
        requests_.commit_failure(number, too_large(written.size(), options_.max_message_bytes));
        return;
    }
    requests_.commit_request(number, written.size());
    crew_->tending.message_committed();
}

failure pool::take_failure(const waiting_outcome& outcome) {
    failure taken;
    if (outcome.state == message_state::failed) {
        taken = failures_.take(outcome.number).value_or(corrupted(outcome));
    } else {
        try {
            if (!outcome.sound) {
                throw not_decodable("the header of a worker's result makes no sense");
            }
            byte_reader record(outcome.payload);
            taken = read_failure(record);
        } catch (const not_decodable& refused) {
            taken = {.kind = failure_kind::not_decodable, .what = refused.what()};
        }
        taken.attempts = outcome.attempts;
    }
    taken.sequence = outcome.number;
    return taken;
}

bool pool::wait_a_moment() {
    return in_flight() > 0 && for_outcomes_.wait([this] { return peek().has_value(); });
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

void pool::release(fate counted_as) {
    window_.release();
    std::uint64_t* const count[] = {&counts_.results, &counts_.failures, &counts_.markers, &counts_.dropped};
    ++*count[static_cast<std::size_t>(counted_as)];
}

statistics pool::snapshot() const {
    const std::scoped_lock lock(collecting_); // so that nothing is emitted between the lines
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
