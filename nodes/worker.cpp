// SPDX-License-Identifier: MIT
#include <forkflow/nodes/body_failure.hpp>
#include <forkflow/nodes/exception_text.hpp>
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/message_memory.hpp>
#include <forkflow/nodes/monotonic_clock.hpp>
#include <forkflow/nodes/result_check.hpp>
#include <forkflow/nodes/same_cpu.hpp>
#include <forkflow/nodes/seat_set.hpp>
#include <forkflow/nodes/throw_point.hpp>
#include <forkflow/nodes/worker.hpp>

#include <execinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <stdexcept>
#include <utility>

namespace forkflow::nodes {
namespace {

/// The depth of the caller's stack, the caller included.
[[gnu::noinline]] std::uint32_t stack_depth() {
    std::array<void*, max_stack_frames> frames{};
    return static_cast<std::uint32_t>(::backtrace(frames.data(), static_cast<int>(frames.size()))) - 1;
}

} // namespace

worker::worker(const rings& shared, const pool_options& options, const worker_body& body,
               const step_hook& hook, worker_identity self)
    : shared_(shared)
    , options_(options)
    , body_(body)
    , hook_(hook)
    , self_(self)
    , seat_(shared.seat(self.seat))
    , for_work_(options.spin)
    , for_admission_(options.spin)
    , places_(shared, self.seat)
    , room_(shared) {}

void worker::run() {
    while (const std::optional<sequence> number = find_work()) {
        handle(*number);
        if (spread_) {
            spread_->between_messages();
        }
        if (retirement_ && !relief_asked_ && retirement_->due()) {
            ask_for_relief();
        }
    }
    seat_.stage.store(static_cast<std::uint32_t>(worker_stage::leaving), std::memory_order_relaxed);
    at(step::leaving);
}

void worker::ask_for_relief() {
    relief_asked_ = true;
    at(step::retiring);
    insert(shared_.relief_wanted(), self_.seat);
    shared_.ring_parent();
}

void worker::relieve() const {
    const relief_order& order = shared_.order_for(self_.seat);
    const std::uint32_t seat = order.seat.load(std::memory_order_relaxed); // stored before this worker began
    if (seat != parent_seat) {
        shared_.ask_to_leave(seat, order.incarnation.load(std::memory_order_relaxed));
        at(step::relieved);
    }
}

bool worker::initialise(const std::function<void()>& prepare, const std::function<void()>& seclude) {
    at(step::started);
    seat_.tenant.store(self_.incarnation, std::memory_order_relaxed);
    seat_.stage.store(static_cast<std::uint32_t>(worker_stage::initialising), std::memory_order_relaxed);
    const char* where = "the preparation of a worker";
    places_.take_over(); // before its memory is measured
    try {
        if (prepare) {
            prepare();
        }
        where = "worker_init";
        if (options_.worker_init) {
            options_.worker_init();
        }
        where = "the seclusion of a worker";
        if (options_.recycles()) {
            retirement_.emplace(options_);
        }
        if (!options_.sandbox && cpu_spread::is_possible()) {
            spread_.emplace(shared_, self_.seat);
        }
        if (seclude) {
            seclude();
        }
    } catch (const worker_killed&) {
        throw;
    } catch (...) {
        note_last_words(where);
        return false;
    }
    seat_.stage.store(static_cast<std::uint32_t>(worker_stage::ready), std::memory_order_relaxed);
    look_from_oldest();
    at(step::initialised);
    relieve();
    return true;
}

/// To be called while an exception is handled.
void worker::note_last_words(const char* where) const {
    std::string text = std::string(where) + " threw " + current_exception_type();
    try {
        throw;
    } catch (const std::exception& thrown) {
        text += ": " + text_of(thrown);
    } catch (...) { // the type's name must do
    }
    last_words& words = shared_.words_of(self_.seat);
    words.text_bytes = static_cast<std::uint32_t>(std::min(text.size(), sizeof words.text));
    std::copy_n(text.data(), words.text_bytes, words.text);
}

std::optional<sequence> worker::claim() {
    // Older numbers are done with; and after a long sleep their numbers may have come round again.
    for (cursor_ = std::max(cursor_, oldest());; ++cursor_) {
        const sequence number = at_cursor();
        const std::uint64_t bits = shared_.state(number).load(std::memory_order_seq_cst); // (R), (D1)
        confined_ = may_claim(state_word::unpacked(bits), number) && !places_.has_free() &&
                    number != shared_.next_to_emit();
        if (confined_) {
            return std::nullopt;
        }
        if (try_claim(number, bits)) {
            ++cursor_;
            return number;
        }
        const state_word seen = state_word::unpacked(bits);
        if (seen.number == number && seen.owned() && seen.names(self_.seat, self_.incarnation)) {
            throw std::logic_error("forkflow: a message is claimed in the name of a worker that has none");
        }
        if (is_wild(seen, number)) {
            // The collector looks closer, once it waits for this number. Nobody passes it by: if it is not
            // committed yet, its commit will write over this.
            shared_.ring_parent();
            return std::nullopt;
        }
        if (distance(number, seen.number) < 0) {
            return std::nullopt; // not committed yet
        }
    }
}

bool worker::try_claim(sequence number, std::uint64_t bits) {
    for (state_word seen = state_word::unpacked(bits); may_claim(seen, number);
         seen = state_word::unpacked(bits)) {
        state_word mine = seen;
        mine.state = message_state::claimed;
        mine.seat = self_.seat;
        mine.incarnation = self_.incarnation;
        if (shared_.state(number).compare_exchange_strong(bits, mine.packed(), std::memory_order_seq_cst)) {
            claim_ = mine;
            return true;
        }
    }
    return false;
}

bool worker::may_claim(const state_word& seen, sequence number) const {
    return seen.number == number && seen.state == message_state::ready &&
           (!seen.has_heir() || seen.names(self_.seat, self_.incarnation));
}

/// A word lags a lap behind until its number is committed, and is a lap ahead if the hint of what was emitted
/// lags.
bool worker::is_wild(const state_word& seen, sequence number) const {
    const std::int32_t laps = distance(number, seen.number);
    const auto lap = static_cast<std::int32_t>(shared_.capacity());
    return laps != 0 && laps != -lap && laps != lap && cursor_ >= oldest();
}

bool worker::is_to_leave() const {
    return shared_.parent().stopping.load(std::memory_order_seq_cst) != 0 ||
           seat_.leave.load(std::memory_order_seq_cst) == (leave_bit | self_.incarnation); // (D1)
}

std::uint64_t worker::oldest() const {
    return shared_.parent().emitted.load(
        std::memory_order_acquire); // the release store in reorder_window::admit
}

sequence worker::at_cursor() const {
    return shared_.first() + static_cast<sequence>(cursor_);
}

void worker::look_from_oldest() {
    reopened_ = shared_.parent().reopened.load(std::memory_order_seq_cst); // before the states are looked at
    cursor_ = oldest();
}

template <class Ready>
bool worker::wait_a_moment(spinner& looks, Ready ready) {
    return looks.wait(ready, spinner::time_point::max(), [this](std::chrono::nanoseconds waited) {
        give_way_to_collector(shared_.parent(), waited);
    });
}

std::optional<sequence> worker::find_work() {
    while (!is_to_leave()) {
        std::optional<sequence> number = claim();
        if (!number && !confined_) { // else the ring for it goes to somebody else, at once
            wait_a_moment(for_work_, [&] {
                number = claim();
                return number || confined_ || is_to_leave();
            });
        }
        if (number) {
            return number;
        }
        number = look_again_and_sleep();
        if (number) {
            return number;
        }
    }
    return std::nullopt;
}

/// The sleeper's half of (D1); of (D2), if there is work, but no place for its result: then somebody else who
/// sleeps is to look at it, as the ring for it may have been spent on this worker.
std::optional<sequence> worker::look_again_and_sleep() {
    const bool for_place = confined_;
    seat_set& sleepers = for_place ? shared_.blocked_seats() : shared_.idle_seats();
    seat_.awaited.store(
        shared_.first() + static_cast<sequence>(oldest()),
        std::memory_order_relaxed); // released by insert; is admitted, so each step is rung for
    seat_.bell.store(
        0, std::memory_order_relaxed); // released by insert; so each ring for this sleep comes later
    insert(sleepers, self_.seat);
    at(step::parking);
    if (for_place) {
        shared_.ring_one_idle();
    }
    if (shared_.parent().reopened.load(std::memory_order_seq_cst) != reopened_) { // (D1)
        look_from_oldest();
    }
    const std::optional<sequence> number = claim();
    if (!number && confined_ == for_place && !is_to_leave()) {
        sleep();
    }
    erase(sleepers, self_.seat); // if a waker was faster, its ring comes late and wakes for nothing
    return number;
}

void worker::sleep() {
    while (seat_.bell.load(std::memory_order_acquire) == 0) { // the release store in rings::ring_seat
        futex_wait(seat_.bell, 0);
    }
    at(step::woken);
}

void worker::handle(sequence number) {
    at(step::claimed);
    where_.reset();
    copied_.forget();
    const slot request = shared_.request(number);
    byte_writer result = result_writer();
    worker_call call{.request = byte_reader(request.payload(request.header.length_bytes), shared_.buffers()),
                     .result = result};
    std::optional<failure> failed = run_body(call);
    await_admission();
    write_outcome(result, std::move(failed));
    at(step::written);
    publish();
}

/// For what the body returns.
byte_writer worker::result_writer() {
    return {[](void* context) -> byte_writer::areas {
                worker& self = *static_cast<worker*>(context);
                self.await_admission();
                const std::size_t most = self.shared_.max_message_bytes();
                const slot to = self.place();
                return {to.inline_area.first(std::min(inline_bytes, most)), to.extent.first(most)};
            },
            this,
            [](void* self, std::size_t bytes) { return static_cast<worker*>(self)->ask_for_room(bytes); },
            options_.verify_results ? &copied_ : nullptr};
}

/// For the record of a failure.
byte_writer worker::record_writer() {
    const slot to = place();
    return {to.inline_area, to.extent, &room_, [](void* room, std::size_t bytes) {
                static_cast<result_room*>(room)->make_in_any_case(bytes);
                return static_cast<result_room*>(room)->bytes();
            }};
}

std::optional<failure> worker::run_body(worker_call& call) {
    std::optional<failure> failed;
    std::uint32_t& engine_frames = shared_.words_of(self_.seat).engine_frames;
    if (engine_frames == 0) { // from this function outwards; the body is further in
        engine_frames = stack_depth();
    }
    if (options_.limits.memory_bytes && !reserve_) {
        constexpr std::size_t reserve_bytes = std::size_t{64} << 10U;
        reserve_.reset(new (std::nothrow) std::byte[reserve_bytes]);
    }
    forget_throw_point();
    restart_clock(0);
    try {
        body_(call);
        if (call.result.overflowed()) {
            failed.emplace(failure{.kind = failure_kind::too_large,
                                   .size_bytes = call.result.size(),
                                   .limit_bytes = shared_.max_message_bytes(),
                                   .what = "the result has " + std::to_string(call.result.size()) +
                                           " bytes; at most " + std::to_string(shared_.max_message_bytes()) +
                                           " are allowed"});
        }
    } catch (const worker_killed&) {
        throw;
    } catch (const no_message_memory& missing) {
        failed.emplace(
            failure{.kind = failure_kind::no_memory, .size_bytes = missing.bytes(), .what = missing.what()});
    } catch (const throw_point&) { // never: it only notes the stack of what the next handlers catch
    } catch (const std::exception& thrown) {
        reserve_.reset();
        failed = failure_at(call.stage, engine_frames);
        failed->what = text_of(thrown);
    } catch (...) {
        reserve_.reset();
        failed = failure_at(call.stage, engine_frames);
    }
    stop_clock();
    return failed;
}

void worker::write_outcome(const byte_writer& result, std::optional<failure> failed) {
    slot_header header{.length_bytes = result.size(),
                       .kind = static_cast<std::uint32_t>(result_kind::value),
                       .number = claim_.number};
    if (failed) {
        failed->pid = ::getpid();
        copied_.forget();
        header.length_bytes = write_record(*failed);
        header.kind = static_cast<std::uint32_t>(result_kind::failure);
    }
    place().header = header;
    place_words& words = shared_.words_of(*where_);
    words.handed_in.store(static_cast<std::uint32_t>(words.user.load(std::memory_order_relaxed)),
                          std::memory_order_relaxed); // whoever asks comes after this one's end
    shared_.place_of(claim_.number).store(where_->place, std::memory_order_relaxed); // released by (P)
    if (options_.verify_results) {
        const auto kind = static_cast<result_kind>(header.kind);
        shared_.check(claim_.number)
            .store(result_check(claim_.number, kind, place().payload(header.length_bytes), copied_),
                   std::memory_order_relaxed); // released by (P)
    }
}

/// Once it was taken.
slot worker::place() const noexcept {
    return shared_.result(*where_);
}

/// Returns how many bytes it has.
std::size_t worker::write_record(const failure& outcome) {
    try {
        byte_writer record = record_writer();
        write_failure(record, outcome);
        return record.size();
    } catch (const no_message_memory&) { // what fits the slot must do
        byte_writer record(place().inline_area, {});
        write_failure(record, {.kind = outcome.kind,
                               .pid = outcome.pid,
                               .size_bytes = outcome.size_bytes,
                               .limit_bytes = outcome.limit_bytes,
                               .what = outcome.what.substr(0, inline_bytes / 2)});
        return record.size();
    }
}

bool worker::is_admitted() const { // (A), (D2); acquire: the slot's previous result was taken before
    return !before(shared_.parent().admitted.load(std::memory_order_seq_cst), claim_.number);
}

/// Waits for what the collector changes when it releases: until `may()`.
template <class May>
void worker::wait_until(May may) {
    const std::int64_t used = pause_clock(); // waiting for others is not the body's time
    bool there = wait_a_moment(for_admission_, may);
    while (!there) {
        seat_.awaited.store(claim_.number, std::memory_order_relaxed); // released by insert
        seat_.bell.store(0, std::memory_order_relaxed);
        insert(shared_.blocked_seats(), self_.seat);
        at(step::awaiting_admission);
        there = may();
        if (!there) {
            sleep();
            there = may();
        }
        erase(shared_.blocked_seats(), self_.seat);
    }
    restart_clock(used);
}

void worker::await_admission() {
    if (where_) {
        return;
    }
    if (!is_admitted()) {
        wait_until([this] { return is_admitted(); });
    }
    // Sizes are known once the result is written, so the last one's stands for this one's.
    where_ = places_.take(cursor_ - 1, room_.bytes()); // claim has gone on to the next
    room_.begin(claim_.number, *where_);
    at(step::admitted);
}

std::size_t worker::ask_for_room(std::size_t bytes) {
    if (!room_.try_make(bytes)) {
        wait_until([&] { return room_.try_make(bytes); });
    }
    at(step::room_made);
    return room_.bytes();
}

void worker::publish() {
    std::uint64_t expected = claim_.packed();
    state_word done = claim_;
    done.state = message_state::published;
    // (P) releases the result's bytes to the collector's acquire load in reorder_window::peek; seq_cst for
    // (D3), (D4).
    if (!shared_.state(claim_.number)
             .compare_exchange_strong(expected, done.packed(), std::memory_order_seq_cst)) {
        state_word condemned = claim_;
        condemned.state = message_state::condemned;
        if (expected == condemned.packed()) {
            wait_for_death();
        }
        throw std::logic_error("forkflow: the state word of a claimed message was changed by somebody else");
    }
    at(step::published);
    bool ring = shared_.is_awaited(claim_.number);
    ring |= shared_.count_down_room();
    if (ring) {
        shared_.ring_parent();
    }
    at(step::notified);
    if (seat_.tenant.load(std::memory_order_relaxed) != self_.incarnation) {
        throw std::logic_error("forkflow: a worker's own seat was changed by somebody else");
    }
}

/// The kill is on its way, and must find this worker without another message.
void worker::wait_for_death() const {
    for (;;) {
        seat_.bell.store(0, std::memory_order_relaxed);
        at(step::condemned);
        futex_wait(seat_.bell, 0);
    }
}

void worker::stop_clock() {
    if (options_.deadline.count() > 0) {
        seat_.running_since_ns.store(0, std::memory_order_release);
    }
}

/// Returns for how long it ran; -1: it did not.
std::int64_t worker::pause_clock() {
    const std::int64_t since = seat_.running_since_ns.load(std::memory_order_relaxed);
    stop_clock();
    return since == 0 ? -1 : monotonic_ns() - since;
}

void worker::restart_clock(std::int64_t used_ns) {
    if (options_.deadline.count() > 0 && used_ns >= 0) {
        seat_.running_since_ns.store(monotonic_ns() - used_ns,
                                     std::memory_order_release); // the acquire load in deadline_watch
    }
}

void worker::at(step here) const {
    if (hook_) {
        hook_(here, self_.seat);
    }
}

} // namespace forkflow::nodes
