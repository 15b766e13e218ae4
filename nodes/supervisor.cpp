// SPDX-License-Identifier: MIT
#include <forkflow/nodes/seat_set.hpp>
#include <forkflow/nodes/supervisor.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace forkflow::nodes {
namespace {

/// So many workers in a row may die, or not come into being, before they looked for a message; then the pool
/// fails.
constexpr unsigned most_barren_deaths = 5;
/// How long a seat stays vacant whose worker could not be made, or died at once: so that nobody forks without
/// pause. As often as the breaker counts it is the shortest time; then it doubles with each death in vain.
constexpr std::chrono::milliseconds least_vacancy(50);
constexpr std::chrono::milliseconds most_vacancy(1000);
/// Who lives so long is not dying of what all workers do when they begin.
constexpr std::chrono::seconds settling_time(1);

} // namespace

supervisor::supervisor(const rings& shared, const pool_options& options, request_ring& requests,
                       const reorder_window& window, failure_shelf& failures, seat_table& seats,
                       word_guard& guard, worker_host& host)
    : shared_(shared)
    , options_(options)
    , requests_(requests)
    , window_(window)
    , seats_(seats)
    , guard_(guard)
    , host_(host)
    , watch_(shared, options.deadline, requests, window, seats, host)
    , cancel_look_(options.kill_on_cancel)
    , attribution_(shared, options.attempts, requests, window, failures)
    , reliefs_(shared, seats)
    , in_vain_(shared.seats())
    , begun_at_(shared.seats())
    , idle_deaths_(shared.seats())
    , barren_at_(shared.first()) {
    vacant_.reserve(shared.seats());
    slow_.reserve(shared.seats());
    too_slow_.reserve(shared.seats());
    purged_.reserve(shared.seats());
    bereft_.reserve(shared.seats());
}

void supervisor::run() {
    for (std::uint32_t seat = 0; seat < shared_.workers(); ++seat) {
        fill(seat);
    }
    for (;;) {
        const std::int64_t patience = tend();
        const host_event event = host_.next_event(patience);
        if (event.what == host_event::kind::closed) {
            if (!stopping_.load() && host_.restart()) {
                bury_all_workers();
                continue;
            }
            bury_all("the fork server, and all workers with it, are gone");
            return;
        }
        handle(event);
    }
}

/// The kernel killed them with their fork server, and nobody is left to tell of each. No worker is started
/// before all that it inherits is its: it might pass it by.
void supervisor::bury_all_workers() {
    constexpr std::string_view reason = "the pool's fork server died, and its workers with it";
    count_barren(reason); // once, not for each worker
    const auto death_in = [this](std::uint32_t seat) {
        return host_event{.what = host_event::kind::died,
                          .seat = seat,
                          .incarnation = seats_.incarnation(seat),
                          .signal = SIGKILL};
    };
    bereft_.clear(); // first all seats are vacant: words name none but who is to come
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (seats_.taken(seat)) {
            lay_out(seat);
            bereft_.push_back(seat);
        }
    }
    std::erase_if(bereft_, [&](std::uint32_t relief) {
        const std::optional<std::uint32_t> tired = reliefs_.relieved_by(relief);
        if (tired) {
            reliefs_.end(relief); // this seat is spare; what it ran goes to who will sit in the other
            const host_event death = death_in(relief);
            attribution_.settle(death, seats_.next_sitter(*tired), reason);
            seats_.make_spare(relief);
            deaths_.fetch_add(1, std::memory_order_relaxed);
        }
        return tired.has_value();
    });
    for (const std::uint32_t seat : bereft_) {
        bury(death_in(seat), reason);
    }
    too_slow_.clear();
    if (!purged_.empty()) { // as end_purge_without: when all is settled
        purged_.clear();
        mend_all();
    }
}

void supervisor::handle(const host_event& event) {
    if (event.what != host_event::kind::died && event.what != host_event::kind::refused) {
        return;
    }
    const worker_identity who{.seat = event.seat, .incarnation = event.incarnation};
    const bool was_too_slow = std::erase(too_slow_, who) > 0;
    if (event.what == host_event::kind::died) {
        bury(event, {}, was_too_slow);
    } else {
        do_without(event);
    }
    end_purge_without(who);
}

/// Its worker could not be made.
void supervisor::do_without(const host_event& refused) {
    seats_.vacate(refused.seat);
    if (!stopping_.load()) {
        // It may have been somebody's heir.
        const bool owed = attribution_.settle(refused, seats_.next_sitter(refused.seat)).inherited;
        replace(refused.seat, true, owed, said([&] {
                    return std::string("a worker could not be made: fork: ") + std::strerror(refused.error);
                }));
    }
}

/// Does what is due, and returns for how many nanoseconds nothing will be; -1: until somebody calls.
std::int64_t supervisor::tend() {
    if (stopping_.load()) {
        return -1;
    }
    if (purged_.empty() && (purge_wanted_.exchange(false) ? any_wild() : is_wild(window_.next_to_emit()))) {
        begin_purge();
    }
    const clock::time_point now = clock::now();
    fill_vacant_seats(now);
    if (options_.recycles()) {
        reliefs_.take_requests();
        start_reliefs(now);
    }
    kill_slow_starters(now);
    const std::optional<sequence> withdrawn = requests_.look_after_withdrawn();
    if (withdrawn && options_.kill_on_cancel) {
        watch_.condemn_before(*withdrawn);
    }
    std::int64_t patience = options_.testing.looks ? watch_.look() : -1;
    if (patience < 0) { // nothing is inside
        cancel_look_.rest();
    } else if (cancel_look_.expected()) {
        if (cancel_look_.comes_due(now, window_.next_to_emit())) {
            shared_.ring_parent();
        }
        patience = std::min(patience, std::int64_t{cancel_look_.left(now).count()});
    }
    if (watch_.stands_still()) {
        host_.wake();                        // its owner may have died, and nobody been told
        if (purged_.empty() && any_wild()) { // another message may keep it up
            begin_purge();
        }
    }
    const auto not_beyond = [&patience](std::int64_t left) {
        patience = patience < 0 ? left : std::min(patience, left);
    };
    if (const auto next = next_time()) {
        not_beyond(std::max<std::int64_t>(std::chrono::nanoseconds(*next - clock::now()).count(), 1));
    }
    if (const std::int64_t left = chore_ ? chore_() : -1; left >= 0) {
        not_beyond(left);
    }
    return patience;
}

std::optional<supervisor::clock::time_point> supervisor::next_time() const {
    std::optional<clock::time_point> next = spare_seat() ? reliefs_.next_time() : std::nullopt;
    for (const std::vector<vacancy>* const list : {&vacant_, &slow_}) {
        if (!list->empty()) {
            next = std::min(next.value_or(list->front().until), list->front().until);
        }
    }
    return next;
}

// --- seats

void supervisor::fill(std::uint32_t seat) {
    seat_block& place = shared_.seat(seat);
    place.stage.store(static_cast<std::uint32_t>(worker_stage::starting), std::memory_order_relaxed);
    place.running_since_ns.store(0, std::memory_order_relaxed);
    place.leave.store(0, std::memory_order_relaxed);
    shared_.words_of(seat).frame_count.store(0, std::memory_order_relaxed);
    shared_.words_of(seat).text_bytes = 0;
    shared_.words_of(seat).engine_frames = 0;
    if (!reliefs_.relieved_by(seat)) {
        reliefs_.begin_plain(seat);
    }
    const worker_identity sitter = seats_.take(seat);
    begun_at_[seat] = clock::now();
    if (options_.init_deadline.count() > 0) {
        std::erase_if(slow_, [seat](const vacancy& former) { return former.seat == seat; });
        slow_.push_back({.seat = seat, .until = clock::now() + options_.init_deadline});
    }
    host_.start(sitter.seat, sitter.incarnation); // its system call orders the stores before the new worker
}

void supervisor::fill_vacant_seats(clock::time_point now) {
    while (!vacant_.empty() && vacant_.front().until <= now) {
        const std::uint32_t seat = vacant_.front().seat;
        vacant_.erase(vacant_.begin());
        fill(seat);
    }
}

void supervisor::leave_vacant(std::uint32_t seat, std::string_view why) {
    const vacancy made{.seat = seat, .until = clock::now() + next_vacancy_of(seat)};
    const auto later = std::ranges::upper_bound(vacant_, made.until, {}, &vacancy::until);
    vacant_.insert(later, made);
    count_barren(why);
    if (in_vain_[seat] >= most_barren_deaths) {
        give_up_retries(seat, why);
    }
}

/// To be called once for each worker in this seat that did not begin its work.
std::chrono::milliseconds supervisor::next_vacancy_of(std::uint32_t seat) {
    constexpr unsigned most_doublings = 10;
    const unsigned in_vain = ++in_vain_[seat];
    const unsigned doublings = in_vain - std::min(in_vain, most_barren_deaths);
    return std::min(most_vacancy, least_vacancy * (1U << std::min(doublings, most_doublings)));
}

/// Others may be at work; but none of them may retry what the next worker in this seat was to retry.
void supervisor::give_up_retries(std::uint32_t seat, std::string_view why) {
    const failure reason = told([&] {
        return failure{.kind = failure_kind::crashed,
                       .what = "its worker died, and none came to retry the message: " + std::string(why)};
    });
    requests_.fail_inheritance(seats_.next_sitter(seat), reason);
    shared_.ring_parent();
}

void supervisor::kill_slow_starters(clock::time_point now) {
    while (!slow_.empty() && slow_.front().until <= now) {
        const std::uint32_t seat = slow_.front().seat;
        slow_.erase(slow_.begin());
        const worker_stage stage = stage_of(seat);
        if (seats_.taken(seat) && (stage == worker_stage::starting || stage == worker_stage::initialising)) {
            too_slow_.push_back(seats_.sitter(seat));
            host_.kill(seat, seats_.incarnation(seat));
        }
    }
}

// --- reliefs

void supervisor::look_for_relief_requests() {
    if (options_.recycles()) {
        for (const auto& word : shared_.relief_wanted().words) {
            if (word.load(std::memory_order_seq_cst) != 0) {
                host_.interrupt();
                return;
            }
        }
    }
}

std::optional<std::uint32_t> supervisor::spare_seat() const {
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (seats_.spare(seat)) {
            return seat;
        }
    }
    return std::nullopt;
}

void supervisor::start_reliefs(clock::time_point now) {
    while (const std::optional<std::uint32_t> spare = spare_seat()) {
        const std::optional<std::uint32_t> tired = reliefs_.next_due(now);
        if (!tired) {
            return;
        }
        reliefs_.begin(*spare, *tired);
        fill(*spare);
    }
}

// --- deaths

void supervisor::lay_out(std::uint32_t seat) {
    erase(shared_.idle_seats(), seat);
    erase(shared_.blocked_seats(), seat);
    erase(shared_.relief_wanted(), seat); // it wants none any more, and the next one does not yet
    shared_.seat(seat).running_since_ns.store(0, std::memory_order_relaxed);
    shared_.seat(seat).whereabouts.store(0, std::memory_order_relaxed);
    seats_.vacate(seat);
}

void supervisor::bury(const host_event& death, std::string_view reason, bool was_too_slow) {
    lay_out(death.seat);
    if (stopping_.load()) {
        return;
    }
    forget_barren_deaths_after_progress();
    const worker_identity gone{.seat = death.seat, .incarnation = death.incarnation};
    const worker_stage stage = stage_of(death.seat);
    const bool purged = std::find(purged_.begin(), purged_.end(), gone) != purged_.end();
    const auto [charged, owed] = attribution_.settle(
        death, seats_.next_sitter(death.seat),
        purged ? "the worker was killed, as one of the pool's workers wrote where it may not" : reason);
    const bool asked = stage == worker_stage::leaving && !charged && death.signal == 0 && death.status == 0;
    if (charged) { // at once, as its failure may be out
        deaths_.fetch_add(1, std::memory_order_relaxed);
    }
    const bool blameless = purged || !reason.empty();
    const bool began = charged || stage == worker_stage::ready || stage == worker_stage::leaving;
    const bool in_idle_loop = began && !charged && !asked && !blameless && dies_idle_again(death.seat);
    if (began && !in_idle_loop) {
        barren_deaths_ = 0;
        in_vain_[death.seat] = 0;
    }
    if (was_too_slow) {
        barren_deaths_ = most_barren_deaths; // enough waiting, if nobody else has become ready
    }
    replace(death.seat, (!began || in_idle_loop) && !blameless, owed, said([&] {
                return "workers die before they come to take a message; the last: " +
                       (was_too_slow ? words_about_slowness() : attribution_.last_text(death));
            }));
    if (!charged) { // only now: who sees the count sees what came of it; the acquire is in deaths, recycled
        (asked ? recycled_ : deaths_).fetch_add(1, std::memory_order_release);
    }
    if (asked && !owed && !any_wild()) {
        shared_.ring_one_idle(); // for the ring that it may have been given on its way out
    } else {
        let_everybody_look();
    }
}

void supervisor::let_everybody_look() {
    if (purged_.empty() && any_wild()) {
        purge_wanted_.store(true);
    }
    // Whatever it may have written: everybody looks again.
    shared_.bell().room_countdown.store(0, std::memory_order_seq_cst);
    shared_.ring_all_seats();
    shared_.ring_parent();
}

/// `owed`: a message waits for the next worker in this seat, and for nobody else.
void supervisor::replace(std::uint32_t seat, bool barren, bool owed, std::string_view why) {
    if (const std::optional<std::uint32_t> relief = reliefs_.relief_of(seat)) {
        reliefs_.end(*relief);
        if (!owed) { // it takes over
            seats_.make_spare(seat);
            return;
        }
        reliefs_.begin(seat, *relief); // it is at work already, so it goes once its fresh relief is ready
    }
    if (!barren) {
        fill(seat);
        return;
    }
    if (const std::optional<std::uint32_t> tired = reliefs_.relieved_by(seat); tired && !owed) {
        reliefs_.end(seat); // the one that it was to relieve works on
        seats_.make_spare(seat);
        reliefs_.defer(*tired, clock::now() + next_vacancy_of(seat));
        count_barren(why);
        return;
    }
    leave_vacant(seat, why);
}

void supervisor::count_barren(std::string_view why) {
    if (!any_ready() && ++barren_deaths_ >= most_barren_deaths) {
        bury_all(why);
    }
}

/// A wild worker may have written over the stages of all; but what has left, somebody has worked on.
void supervisor::forget_barren_deaths_after_progress() {
    const sequence head = window_.next_to_emit();
    if (std::exchange(barren_at_, head) != head) {
        barren_deaths_ = 0;
        std::fill(idle_deaths_.begin(), idle_deaths_.end(), 0U);
    }
}

/// Notes that a worker died that was ready and had no message. True if such deaths follow each other in this
/// seat, as if something killed each worker that waits.
bool supervisor::dies_idle_again(std::uint32_t seat) {
    if (is_settled(seat)) {
        idle_deaths_[seat] = 0;
    }
    return ++idle_deaths_[seat] > 1;
}

bool supervisor::is_settled(std::uint32_t seat) const {
    return clock::now() - begun_at_[seat] >= settling_time;
}

bool supervisor::any_ready() {
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (seats_.taken(seat) && stage_of(seat) == worker_stage::ready &&
            (idle_deaths_[seat] == 0 || is_settled(seat))) {
            barren_deaths_ = 0;
            return true;
        }
    }
    return false;
}

worker_stage supervisor::stage_of(std::uint32_t seat) const {
    return static_cast<worker_stage>(shared_.seat(seat).stage.load(std::memory_order_relaxed));
}

std::string supervisor::words_about_slowness() const {
    const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(options_.init_deadline);
    return "worker_init did not end within " + std::to_string(most.count()) + " ms";
}

// --- withdrawal

void supervisor::messages_withdrawn() {
    if (options_.kill_on_cancel) {
        host_.interrupt();
    }
}

// --- wild workers

void supervisor::purge() {
    if (!purge_wanted_.exchange(true)) {
        host_.interrupt();
    }
}

void supervisor::begin_purge() {
    for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
        if (seats_.taken(seat)) {
            purged_.push_back(seats_.sitter(seat));
            host_.kill(seat, seats_.incarnation(seat));
        }
    }
    if (purged_.empty()) { // nobody lives who could be at work on anything
        mend_all();
    }
}

/// To be called when all that `gone` leaves behind has been settled: a word that names who was to inherit it,
/// and will never come, counts as wild.
void supervisor::end_purge_without(const worker_identity& gone) {
    if (std::erase(purged_, gone) > 0 && purged_.empty()) {
        mend_all();
    }
}

void supervisor::mend_all() {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        if (is_wild(number)) {
            requests_.mend(number);
        }
    }
    shared_.ring_all_seats(); // who began meanwhile may have stopped in front of such a word
    shared_.ring_parent();
}

bool supervisor::is_wild(sequence number) const {
    return guard_.is_wild(number) && !window_.is_released(number); // the guard has read the word by then
}

bool supervisor::any_wild() const {
    for (sequence number = window_.next_to_emit(); before(number, requests_.next()); ++number) {
        if (is_wild(number)) {
            return true;
        }
    }
    return false;
}

void supervisor::bury_all(std::string_view why) {
    if (stopping_.exchange(true)) {
        return;
    }
    host_.close();
    while (host_.next_event(-1).what != host_event::kind::closed) {
    }
    failure reason{.kind = failure_kind::pool_failed, .what = said([&] { return std::string(why); })};
    attribution_.fail_all(reason);
    requests_.fail_all(std::move(reason));
    mend_all();
}

} // namespace forkflow::nodes
