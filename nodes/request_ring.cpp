// SPDX-License-Identifier: MIT
#include <forkflow/nodes/request_ring.hpp>

#include <algorithm>
#include <utility>

namespace forkflow::nodes {
namespace {

constexpr std::uint64_t withdrawn_bit = std::uint64_t{1} << 32U;

failure withdrawal() noexcept {
    return told(
        [] { return failure{.kind = failure_kind::pool_failed, .what = "the message was withdrawn"}; });
}

} // namespace

request_ring::request_ring(const rings& shared, const reorder_window& window, failure_shelf& failures,
                           word_guard& guard)
    : shared_(shared)
    , window_(window)
    , failures_(failures)
    , guard_(guard)
    , oldest_(shared.first())
    , finished_to_(shared.first())
    , next_(shared.first())
    , newest_finished_here_(shared.first() - 1)
    , bytes_(shared.window_bytes(), shared.max_message_bytes(), shared.capacity()) {}

reserved_run request_ring::try_reserve(std::span<const message_kind> kinds) {
    const std::scoped_lock lock(reserving_);
    const sequence first = next_.load(std::memory_order_relaxed);
    std::uint32_t count = 0;
    for (; count < kinds.size() && room_for(kinds[count], 1); ++count) {
        spare_ -= spare_ > 0 ? 1 : 0; // a marker waits too, until it is committed
        const sequence number = first + count;
        if (constexpr sequence often_enough = 1U << 24U; number % often_enough == 0) {
            note_finished_here(number); // so that what stands there never lags by half of all numbers
        }
        if (kinds[count] == message_kind::request) {
            bytes_.reserve(number);
        }
        next_.store(number + 1, std::memory_order_release); // the load in next
    }
    return {.first = first, .count = count};
}

std::optional<sequence> request_ring::try_reserve(message_kind kind) {
    const reserved_run one = try_reserve(std::span(&kind, 1));
    return one.count == 1 ? std::optional(one.first) : std::nullopt;
}

bool request_ring::has_room(std::size_t more) {
    const std::scoped_lock lock(reserving_);
    return room_for(message_kind::request, more);
}

bool request_ring::room_for(message_kind kind, std::size_t more) noexcept {
    if (kind == message_kind::request && !bytes_.has_room(more)) {
        return false;
    }
    const sequence next = next_.load(std::memory_order_relaxed);
    const auto surely = [&] {
        const std::size_t in_flight = next - oldest_;
        return in_flight + more <= shared_.requests() ||
               (in_flight + more <= shared_.requests() + shared_.window() &&
                (kind == message_kind::marker || more <= spare_));
    };
    if (surely()) { // without a look at what the collector writes all the time
        return true;
    }
    see_what_has_left();
    if (surely()) {
        return true;
    }
    if (next - oldest_ + more > shared_.requests() + shared_.window()) {
        return false;
    }
    // Once for all that it finds room for: what was finished then stays finished, whatever a wild worker may
    // have written since; who was told that there is room relies on it.
    const std::size_t unfinished = unfinished_before(next);
    const std::size_t requests = shared_.requests();
    spare_ = std::max(spare_, requests - std::min(unfinished, requests));
    return more <= spare_;
}

void request_ring::see_what_has_left() noexcept {
    oldest_ = window_.next_to_emit();
    if (before(finished_to_, oldest_)) {
        finished_to_ = oldest_;
    }
}

std::size_t request_ring::unfinished_before(sequence end) noexcept {
    while (before(finished_to_, end) && look_at(finished_to_).at >= progress::finished) {
        ++finished_to_;
    }
    std::size_t unfinished = 0;
    for (sequence number = finished_to_; before(number, end); ++number) {
        const glance seen = look_at(number);
        if (seen.stops_workers && !before(number, newest_finished_here_.load(std::memory_order_seq_cst))) {
            return unfinished + (end - number);
        }
        unfinished += seen.at < progress::finished ? 1 : 0;
    }
    return unfinished;
}

request_ring::glance request_ring::look_at(sequence number) const noexcept {
    const state_word seen = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
    const std::int32_t age = distance(number, seen.number);
    if (age < 0) { // reserved
        return {.at = progress::waiting, .stops_workers = true};
    }
    if (age > 0 || seen.state == message_state::empty) { // emitted meanwhile
        return {.at = progress::emitted, .stops_workers = false};
    }
    if (!seen.unfinished()) {
        return {.at = progress::finished, .stops_workers = false};
    }
    return {.at = seen.owned() ? progress::running : progress::waiting,
            .stops_workers = seen.state == message_state::ready && !seen.has_heir()};
}

request_ring::census request_ring::count() const noexcept {
    census counted;
    const sequence end = next();
    for (sequence number = window_.next_to_emit(); before(number, end); ++number) {
        switch (look_at(number).at) {
        case progress::waiting:
            ++counted.waiting;
            break;
        case progress::running:
            ++counted.running;
            break;
        case progress::finished:
            ++counted.finished;
            break;
        case progress::emitted:
            break;
        }
    }
    return counted;
}

void request_ring::note_finished_here(sequence number) noexcept {
    sequence newest = newest_finished_here_.load(std::memory_order_seq_cst);
    while (before(newest, number) && !newest_finished_here_.compare_exchange_weak(newest, number)) {
    }
}

void request_ring::commit_request(sequence number, std::size_t length_bytes) {
    count_bytes(number, length_bytes); // before the message can be on its way out
    shared_.request(number).header = {.length_bytes = length_bytes, .kind = 0, .number = number};
    const state_word word{.number = number, .state = message_state::ready, .attempt = 1};
    shared_.commits().begin(number, word.state);
    shared_.state(number).store(word.packed(), std::memory_order_seq_cst); // (R), (D1)
    shared_.commits().end(number, word.state);
    if (const failure* const reason =
            broken_.load(std::memory_order_seq_cst)) { // fail_all may have passed by already
        fail_if_ready(number, *reason);
        shared_.ring_parent();
        return;
    }
    if (shared_.ring_one_idle()) {
        wake_workers(number + 1);
    }
}

void request_ring::wake_workers(sequence number) const {
    // A worker stops looking at the first number that is not committed. What was committed behind it out of
    // turn was then seen by nobody, and its rings were spent.
    for (; before(number, next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number != number || (word.state == message_state::ready && !shared_.ring_one_idle())) {
            return;
        }
    }
}

void request_ring::commit_marker(sequence number) {
    finish(number, message_state::marker);
}

void request_ring::commit_failure(sequence number, failure outcome) {
    failures_.put(number, std::move(outcome));
    finish(number, message_state::failed);
}

void request_ring::finish(sequence number, message_state state) {
    count_bytes(number, 0);
    note_finished_here(number); // before the state, for who looks at both after (D4)
    const state_word word{.number = number, .state = state};
    shared_.commits().begin(number, state);
    shared_.state(number).store(word.packed(), std::memory_order_seq_cst); // (D3), (D4)
    shared_.commits().end(number, state);
    window_.notify(number);
    if (shared_.count_down_room()) {
        shared_.ring_parent();
    }
    wake_workers(number + 1);
}

/// The message was reserved as the largest that there may be; if there is room since, who waits for it hears.
void request_ring::count_bytes(sequence number, std::size_t bytes) {
    if (bytes_.commit(number, bytes) && shared_.bell().room_countdown.load(std::memory_order_seq_cst) > 0) {
        shared_.ring_parent(); // (D4)
    }
}

std::uint32_t request_ring::unfinished_in_window() {
    const std::scoped_lock lock(reserving_);
    see_what_has_left();
    const sequence end = oldest_ + shared_.window();
    const sequence next = next_.load(std::memory_order_relaxed);
    return static_cast<std::uint32_t>(unfinished_before(before(end, next) ? end : next));
}

bool request_ring::arm_for_room(room_ring when) {
    // Late: before the workers that are running run out of requests, and not later than all results that the
    // window has room for, for which nobody has to take any.
    const auto workers = static_cast<std::uint32_t>(shared_.workers());
    const std::uint32_t late =
        when == room_ring::soon ? 1 : (std::max(shared_.requests(), workers) - workers) / 2;
    std::atomic<std::int32_t>& countdown = shared_.bell().room_countdown;
    for (bool counting = false; !has_room(); counting = true) { // (D4): say so, then look again
        // Loaded before the count, for what is published in between: it makes the countdown look too long,
        // never too short.
        std::int32_t counted = countdown.load(std::memory_order_seq_cst);
        const auto spare = static_cast<std::int32_t>(std::max(std::min(late, unfinished_in_window()), 1U));
        // A countdown that is under way goes on: somebody else waits for it. What was finished before it
        // began was not counted, so it may turn out to be too long.
        if (counting && counted > 0 && counted <= spare) {
            return true;
        }
        while ((counted <= 0 || counted > spare) && !countdown.compare_exchange_weak(counted, spare)) {
        }
    }
    return false;
}

void request_ring::disarm_for_room() {
    std::atomic<std::int32_t>& countdown = shared_.bell().room_countdown;
    if (countdown.load(std::memory_order_relaxed) > 0) {
        // Without a partner: a ring for nothing is harmless, and who arms stores before he looks.
        countdown.store(0, std::memory_order_relaxed);
    }
}

void request_ring::fail_all(failure reason) noexcept {
    if (broken_.load(std::memory_order_relaxed) != nullptr) {
        return;
    }
    reason_ = std::move(reason);
    broken_.store(&*reason_, std::memory_order_seq_cst);
    fail_waiting_before(next_.load(std::memory_order_seq_cst), *reason_);
    shared_.ring_parent();
}

void request_ring::withdraw() {
    const sequence end = next();
    withdrawn_.store(withdrawn_bit | end, std::memory_order_seq_cst);
    fail_waiting_before(end, withdrawal());
}

std::optional<sequence> request_ring::look_after_withdrawn() {
    std::uint64_t bits = withdrawn_.load(std::memory_order_seq_cst);
    const auto end = static_cast<sequence>(bits);
    if (bits == 0) {
        return std::nullopt;
    }
    if (before(window_.next_to_emit(), end)) {
        if (fail_waiting_before(end, withdrawal())) {
            shared_.ring_parent();
        }
        return end;
    }
    // Forgotten, as numbers wrap and this one would mean something again.
    withdrawn_.compare_exchange_strong(bits, 0, std::memory_order_seq_cst);
    return std::nullopt;
}

bool request_ring::is_withdrawn(sequence number) const noexcept {
    const std::uint64_t bits = withdrawn_.load(std::memory_order_seq_cst);
    return bits != 0 && before(number, static_cast<sequence>(bits));
}

bool request_ring::fail_waiting_before(sequence end, const failure& reason) {
    bool some = false;
    for (sequence number = window_.next_to_emit(); before(number, end); ++number) {
        some |= fail_if_ready(number, reason);
    }
    return some;
}

void request_ring::fail_inheritance(const worker_identity& heir, const failure& reason) {
    for (sequence number = window_.next_to_emit(); before(number, next()); ++number) {
        const state_word word = state_word::unpacked(shared_.state(number).load(std::memory_order_seq_cst));
        if (word.number == number && word.has_heir() && word.names(heir.seat, heir.incarnation)) {
            fail_if_ready(number, reason);
        }
    }
}

void request_ring::mend(sequence number) {
    note_finished_here(number);
    guard_.mend(number);
}

bool request_ring::fail_if_ready(sequence number, const failure& reason) {
    std::uint64_t bits = shared_.state(number).load(std::memory_order_seq_cst);
    state_word word = state_word::unpacked(bits);
    if (word.number != number || word.state != message_state::ready) {
        return false;
    }
    const word_guard::parent_claim claiming(guard_);
    word.state = message_state::claimed;
    word.seat = parent_seat;
    if (!shared_.state(number).compare_exchange_strong(bits, word.packed(), std::memory_order_seq_cst)) {
        return false;
    }
    failure lost = told([&] { return reason; });
    lost.attempts = std::max(word.attempt, 1U) - 1; // a wild worker may have written anything
    failures_.put(number, std::move(lost));
    note_finished_here(number);
    word.state = message_state::failed;
    shared_.state(number).store(word.packed(), std::memory_order_seq_cst);
    return true;
}

} // namespace forkflow::nodes
