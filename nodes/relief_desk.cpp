// SPDX-License-Identifier: MIT
#include <forkflow/nodes/relief_desk.hpp>
#include <forkflow/nodes/seat_set.hpp>

#include <algorithm>

namespace forkflow::nodes {

relief_desk::relief_desk(const rings& shared, const seat_table& seats)
    : shared_(shared)
    , seats_(seats)
    , whom_(seats.size()) {
    requests_.reserve(seats.size());
}

void relief_desk::take_requests() {
    for_each_seat(shared_.relief_wanted(), seats_.size(), [this](std::uint32_t seat) {
        erase(shared_.relief_wanted(), seat);
        const worker_identity who = seats_.sitter(seat);
        if (is_wanted(who) && std::none_of(requests_.begin(), requests_.end(),
                                           [&](const request& known) { return known.who == who; })) {
            take_down({.who = who, .when = clock::now()});
        }
        return true;
    });
}

bool relief_desk::is_wanted(const worker_identity& who) const {
    return seats_.taken(who.seat) && seats_.sitter(who.seat) == who && !relief_of(who.seat);
}

std::optional<std::uint32_t> relief_desk::next_due(clock::time_point now) {
    forget_those_not_wanted();
    const auto due = std::find_if(requests_.begin(), requests_.end(),
                                  [&](const request& asked) { return asked.when <= now; });
    if (due == requests_.end()) {
        return std::nullopt;
    }
    const std::uint32_t seat = due->who.seat;
    requests_.erase(due);
    return seat;
}

std::optional<relief_desk::clock::time_point> relief_desk::next_time() const {
    std::optional<clock::time_point> earliest;
    for (const request& asked : requests_) {
        earliest = std::min(earliest.value_or(asked.when), asked.when);
    }
    return earliest;
}

void relief_desk::defer(std::uint32_t seat, clock::time_point when) {
    take_down({.who = seats_.sitter(seat), .when = when});
}

void relief_desk::forget_those_not_wanted() {
    std::erase_if(requests_, [this](const request& asked) { return !is_wanted(asked.who); });
}

void relief_desk::take_down(const request& asked) {
    forget_those_not_wanted();
    std::erase_if(requests_, [&](const request& known) { return known.who == asked.who; });
    requests_.push_back(asked);
}

void relief_desk::begin(std::uint32_t relief, std::uint32_t seat) {
    whom_[relief] = seat;
    relief_order& order = shared_.order_for(relief);
    order.incarnation.store(seats_.incarnation(seat), std::memory_order_relaxed);
    order.seat.store(seat, std::memory_order_relaxed); // the request for the worker orders both before it
}

std::optional<std::uint32_t> relief_desk::relief_of(std::uint32_t seat) const {
    for (std::uint32_t relief = 0; relief < whom_.size(); ++relief) {
        if (whom_[relief] == seat) {
            return relief;
        }
    }
    return std::nullopt;
}

} // namespace forkflow::nodes
