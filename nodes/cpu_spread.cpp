// SPDX-License-Identifier: MIT
#include <forkflow/nodes/cpu_spread.hpp>
#include <forkflow/nodes/same_cpu.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <algorithm>

namespace forkflow::nodes {
namespace {

constexpr unsigned fresh_periods = 8;
constexpr unsigned periods_after_a_move = 10;

/// A clock of which differences matter, modulo 2^32.
std::uint32_t milliseconds_of(cpu_spread::clock::time_point time) noexcept {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

} // namespace

cpu_spread::cpu_spread(const rings& shared, std::uint32_t seat) noexcept
    : shared_(shared)
    , seat_(seat)
    , period_(1 + shared.seats() / 8) {}

void cpu_spread::look() noexcept {
    messages_ = 0;
    const clock::time_point now = clock::now();
    set_pace(now);
    if (note(this_cpu(), now)) {
        move(now);
    }
}

/// So that messages of any length are looked between about once in a period.
void cpu_spread::set_pace(clock::time_point now) noexcept {
    constexpr unsigned most_messages = 4096;
    const clock::duration since = now - last_look_;
    last_look_ = now;
    if (since < period_) {
        messages_between_looks_ = std::min(messages_between_looks_ * 2, most_messages);
    } else if (since > 2 * period_) {
        messages_between_looks_ = std::max(messages_between_looks_ / 2, 1U);
    }
}

bool cpu_spread::note(std::uint32_t here, clock::time_point now) noexcept {
    // A hint, without a partner.
    shared_.seat(seat_).whereabouts.store(std::uint64_t{milliseconds_of(now)} << 32U | here,
                                          std::memory_order_relaxed);
    bool shares = false;
    for (std::uint32_t seat = 0; seat < seat_ && !shares; ++seat) {
        shares = cpu_of(seat, now) == here;
    }
    const bool again = shares && shared_before_ && now >= stays_until_;
    shared_before_ = shares;
    return again;
}

/// 1 + the CPU on which the worker in `seat` was a short time ago, if it is awake.
std::optional<std::uint32_t> cpu_spread::cpu_of(std::uint32_t seat, clock::time_point now) const noexcept {
    const std::uint64_t noted = shared_.seat(seat).whereabouts.load(std::memory_order_relaxed);
    const std::uint32_t age = milliseconds_of(now) - static_cast<std::uint32_t>(noted >> 32U);
    const auto cpu = static_cast<std::uint32_t>(noted);
    if (cpu == 0 || cpu > CPU_SETSIZE || age > fresh_periods * period_.count() ||
        contains(shared_.idle_seats(), seat) || contains(shared_.blocked_seats(), seat)) {
        return std::nullopt;
    }
    return cpu;
}

std::optional<cpu_set_t> cpu_spread::without_workers(const cpu_set_t& allowed,
                                                     clock::time_point now) const noexcept {
    cpu_set_t rest = allowed;
    for (std::uint32_t seat = 0; seat < shared_.seats(); ++seat) {
        if (const std::optional<std::uint32_t> cpu = cpu_of(seat, now)) {
            CPU_CLR(*cpu - 1, &rest);
        }
    }
    if (CPU_COUNT(&rest) == 0) {
        return std::nullopt;
    }
    return rest;
}

/// Where the kernel refuses, as with more CPUs than the set can name, the worker stays.
void cpu_spread::move(clock::time_point now) noexcept {
    stays_until_ = now + periods_after_a_move * period_;
    shared_before_ = false;
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    const std::optional<cpu_set_t> rest = without_workers(allowed, now);
    if (rest && ::sched_setaffinity(0, sizeof *rest, &*rest) == 0) {
        ::sched_setaffinity(0, sizeof allowed, &allowed);
    }
}

} // namespace forkflow::nodes
