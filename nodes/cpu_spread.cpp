// SPDX-License-Identifier: MIT
#include <forkflow/nodes/cpu_spread.hpp>
#include <forkflow/nodes/same_cpu.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <sys/prctl.h>

#include <algorithm>

namespace forkflow::nodes {
namespace {

constexpr int fresh_periods = 8;
constexpr int periods_after_a_move = 10;

/// A clock of which differences matter, modulo 2^32.
std::uint32_t milliseconds_of(cpu_spread::clock::time_point time) noexcept {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

/// 1 + the CPU; 0: unknown, as nobody has written there, or a wild worker has.
std::uint32_t cpu_in(std::uint64_t word) noexcept {
    const auto cpu = static_cast<std::uint32_t>(word);
    return cpu <= CPU_SETSIZE ? cpu : 0;
}

/// How long ago the note was made. Below 0: after `now` was asked for.
std::chrono::milliseconds age_of(std::uint64_t word, cpu_spread::clock::time_point now) noexcept {
    return std::chrono::milliseconds(
        static_cast<std::int32_t>(milliseconds_of(now) - static_cast<std::uint32_t>(word >> 32U)));
}

bool are_same(const cpu_set_t& left, const cpu_set_t& right) noexcept {
    return CPU_EQUAL(&left, &right) != 0;
}

bool set_cpus(const cpu_set_t& cpus) noexcept {
    return ::sched_setaffinity(0, sizeof cpus, &cpus) == 0;
}

/// Those that this thread may use; false where there are more than the set can name.
bool get_cpus(cpu_set_t& cpus) noexcept {
    return ::sched_getaffinity(0, sizeof cpus, &cpus) == 0;
}

} // namespace

cpu_spread::cpu_spread(const rings& shared, std::uint32_t seat) noexcept
    : shared_(shared)
    , seat_(seat)
    , period_(1 + shared.seats() / 8) {}

bool cpu_spread::is_possible() noexcept {
    return ::prctl(PR_GET_SECCOMP) == 0;
}

void cpu_spread::look() noexcept {
    const clock::time_point now = clock::now();
    messages_between_looks_ = pace(messages_, now - last_look_, period_);
    messages_ = 0;
    last_look_ = now;
    if (narrowed_) {
        widen();
    }
    if (note(this_cpu(), now)) {
        move();
    }
}

unsigned cpu_spread::pace(unsigned messages, clock::duration took,
                          std::chrono::milliseconds period) noexcept {
    // Soon enough if what follows takes much longer.
    const std::int64_t most = 64 * period.count();
    const std::int64_t in_a_period =
        messages * clock::duration(period).count() / std::max<std::int64_t>(took.count(), 1);
    return static_cast<unsigned>(std::clamp<std::int64_t>(in_a_period, 1, most));
}

bool cpu_spread::note(std::uint32_t here, clock::time_point now) noexcept {
    // A hint, without a partner.
    shared_.seat(seat_).whereabouts.store(std::uint64_t{milliseconds_of(now)} << 32U | here,
                                          std::memory_order_relaxed);
    const std::optional<sighting> shares = who_shares(here, now);
    if (!shares || !seen_ || seen_->seat != shares->seat || cpu_in(seen_->word) != here ||
        now - seen_->at > 2 * fresh_periods * period_) {
        seen_ = shares;
        return false;
    }
    // Only what that one has noted anew shows that it has stayed.
    const bool again = shares->word != seen_->word && now - seen_->at >= period_ && now >= stays_until_;
    if (again) {
        seen_.reset();
        stays_until_ = now + periods_after_a_move * period_;
    }
    return again;
}

/// The first in a lower seat: of two, one stays.
std::optional<cpu_spread::sighting> cpu_spread::who_shares(std::uint32_t here,
                                                           clock::time_point now) const noexcept {
    for (std::uint32_t seat = 0; seat < seat_; ++seat) {
        const std::uint64_t word = shared_.seat(seat).whereabouts.load(std::memory_order_relaxed);
        if (cpu_in(word) == here && here != 0 && age_of(word, now) <= fresh_periods * period_ &&
            is_awake(seat)) {
            return sighting{.seat = seat, .word = word, .at = now};
        }
    }
    return std::nullopt;
}

bool cpu_spread::is_awake(std::uint32_t seat) const noexcept {
    return !contains(shared_.idle_seats(), seat) && !contains(shared_.blocked_seats(), seat);
}

std::optional<cpu_set_t> cpu_spread::free_of_workers(const cpu_set_t& allowed) const noexcept {
    cpu_set_t rest = allowed;
    for (std::uint32_t seat = 0; seat < shared_.seats(); ++seat) {
        // Of any age: where a body takes long, its worker has noted nothing since.
        const std::uint32_t cpu = cpu_in(shared_.seat(seat).whereabouts.load(std::memory_order_relaxed));
        if (cpu != 0 && is_awake(seat)) {
            CPU_CLR(cpu - 1, &rest);
        }
    }
    if (CPU_COUNT(&rest) == 0) {
        return std::nullopt;
    }
    cpu_set_t best = rest;
    if (const std::uint32_t collector = shared_.parent().collector_cpu.load(std::memory_order_relaxed);
        collector != 0) {
        CPU_CLR(collector - 1, &best);
    }
    return CPU_COUNT(&best) > 0 ? best : rest;
}

/// Where the kernel refuses, the worker stays.
void cpu_spread::move() noexcept {
    cpu_set_t allowed;
    if (narrowed_ || !get_cpus(allowed)) {
        return;
    }
    const std::optional<cpu_set_t> rest = free_of_workers(allowed);
    if (rest && set_cpus(*rest)) {
        narrowed_ = allowed;
        widen();
        (void)note(this_cpu(), clock::now()); // so that nobody else comes here
    }
}

/// Without memory in the kernel it is tried again at the next look.
void cpu_spread::widen() noexcept {
    if (!restricted_) {
        // Who was free to use all CPUs that there are for the process is to be so still when there are more.
        // Who was not shows it by this, and might be elsewhere for some microseconds, once.
        cpu_set_t all;
        std::fill_n(reinterpret_cast<unsigned char*>(&all), sizeof all, static_cast<unsigned char>(0xff));
        cpu_set_t now;
        if (set_cpus(all) && get_cpus(now) && are_same(now, *narrowed_)) {
            narrowed_.reset();
            return;
        }
        restricted_ = true;
    }
    if (set_cpus(*narrowed_)) {
        narrowed_.reset();
    }
}

} // namespace forkflow::nodes
