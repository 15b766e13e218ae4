// SPDX-License-Identifier: MIT
#include <forkflow/nodes/extent_memory.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/message_memory.hpp>

#include <algorithm>
#include <utility>

namespace forkflow::nodes {
namespace {

/// Not worth a sweep.
constexpr std::size_t few_pages = (std::size_t{1} << 20U) / page_bytes;

} // namespace

extent_memory::extent_memory(const rings& shared)
    : shared_(shared)
    , requests_(shared.capacity())
    , results_(shared.seats() * shared.places())
    , shown_(shared.window_slots()) {
    for (std::uint32_t i = 0; i < requests_.size(); ++i) {
        requests_[i].owner = this;
        requests_[i].index = i;
    }
}

byte_writer extent_memory::request_writer(sequence number, message_references* references) {
    const slot to = shared_.request(number);
    return {to.inline_area.first(std::min(inline_bytes, shared_.max_message_bytes())),
            to.extent.first(shared_.max_message_bytes()), &requests_[number & (requests_.size() - 1)],
            ask_for_request, references};
}

std::size_t extent_memory::ask_for_request(void* context, std::size_t bytes) {
    request_extent& to = *static_cast<request_extent*>(context);
    extent_memory& self = *to.owner;
    to.used = true;
    if (bytes > to.pages * page_bytes) {
        const std::span<std::byte> extent = self.shared_.request(to.index).extent;
        const std::size_t there = to.pages * page_bytes;
        const std::size_t wanted = room_to_ask_for(bytes, there, extent.size());
        const std::span<std::byte> more = extent.subspan(there, wanted - there);
        if (!self.shared_.memory().provide(more)) {
            self.shared_.memory().give_back(more); // nobody else would: they do not count
            throw no_message_memory(bytes);
        }
        to.pages = static_cast<std::uint32_t>(wanted / page_bytes);
        self.request_pages_.fetch_add((wanted - there) / page_bytes, std::memory_order_relaxed);
    }
    return to.pages * page_bytes;
}

std::optional<result_place>& extent_memory::shown(sequence number) noexcept {
    return shown_[number & (shown_.size() - 1)];
}

bool extent_memory::is_result_there(sequence number, result_place where, std::size_t bytes) noexcept {
    shown(number) = where;
    result_extent& from = results_[shared_.index_of(where)];
    from.used = true;
    const std::size_t there = from.pages * page_bytes;
    const std::size_t wanted = whole_pages(bytes);
    if (wanted > there) {
        const std::span<std::byte> extent = shared_.result(where).extent;
        if (!shared_.memory().provide(extent.subspan(there, wanted - there))) {
            return false;
        }
        from.pages = static_cast<std::uint32_t>(wanted / page_bytes);
        shared_.pages_there(where).store(from.pages, std::memory_order_relaxed);
        result_pages_.fetch_add((wanted - there) / page_bytes, std::memory_order_relaxed);
    }
    return true;
}

/// A worker's word: of use only to know where there is something to give back.
std::uint32_t extent_memory::pages_taken(result_place where) const noexcept {
    return shared_.words_of(where).taken_pages.load(std::memory_order_relaxed);
}

void extent_memory::give_back_request(request_extent& request) noexcept {
    shared_.memory().give_back(shared_.request(request.index).extent);
    request_pages_.fetch_sub(request.pages, std::memory_order_relaxed);
    request.pages = 0;
}

void extent_memory::give_back_result(result_place where) noexcept {
    result_extent& result = results_[shared_.index_of(where)];
    shared_.pages_there(where).store(0, std::memory_order_relaxed);
    shared_.words_of(where).taken_pages.store(0, std::memory_order_relaxed);
    shared_.memory().give_back(shared_.result(where).extent);
    result_pages_.fetch_sub(result.pages, std::memory_order_relaxed);
    result.pages = 0;
}

void extent_memory::trim(sequence number) noexcept {
    const std::size_t bound = shared_.window_bytes();
    request_extent& request = requests_[number & (requests_.size() - 1)];
    if (request.pages > 0 && request_pages_.load(std::memory_order_relaxed) * page_bytes > bound) {
        give_back_request(request);
    }
    const std::optional<result_place> where = std::exchange(shown(number), std::nullopt);
    if (where && results_[shared_.index_of(*where)].pages > 0 &&
        result_pages_.load(std::memory_order_relaxed) * page_bytes > bound) {
        give_back_result(*where);
    }
}

void extent_memory::sweep(sequence begin, sequence end) {
    unknown_.store(false, std::memory_order_relaxed);
    sweep_requests(begin, end);
    // What has left counts as inside until it is admitted.
    const std::uint64_t taken = shared_.parent().emitted.load(std::memory_order_relaxed);
    const std::uint32_t in_flight = end - shared_.first() - static_cast<sequence>(taken);
    shared_.parent().sweeping.store(1, std::memory_order_seq_cst); // say so, then look at the users
    sweep_results(taken, in_flight);
    shared_.parent().sweeping.store(0, std::memory_order_seq_cst);
    futex_wake(shared_.parent().sweeping, static_cast<int>(shared_.seats()));
}

void extent_memory::sweep_requests(sequence begin, sequence end) noexcept {
    for (request_extent& each : requests_) {
        // Those in flight are their producers' own.
        const bool busy = ((each.index - begin) & (requests_.size() - 1)) < end - begin;
        if (!busy && !std::exchange(each.used, false) && each.pages > 0) {
            give_back_request(each);
        }
    }
}

void extent_memory::sweep_results(std::uint64_t taken_outcomes, std::uint32_t in_flight) noexcept {
    const auto sweep_one = [&](result_place where) {
        result_extent& extent = results_[shared_.index_of(where)];
        // Wraps for who has left.
        const std::uint64_t user = shared_.words_of(where).user.load(std::memory_order_seq_cst);
        const bool is_free = user - taken_outcomes - 1 >= in_flight;
        if (is_free && !std::exchange(extent.used, false) && (extent.pages > 0 || pages_taken(where) > 0)) {
            give_back_result(where);
        }
    };
    for (std::uint32_t seat = 0; seat < shared_.seats(); ++seat) {
        for (std::uint32_t place = 0; place < shared_.places(); ++place) {
            sweep_one({.seat = seat, .place = place});
        }
    }
}

bool extent_memory::keeps_much() const noexcept {
    return kept_bytes() > few_pages * page_bytes || unknown_.load(std::memory_order_relaxed);
}

std::size_t extent_memory::kept_bytes() const noexcept {
    return (request_pages_.load(std::memory_order_seq_cst) + result_pages_.load(std::memory_order_seq_cst)) *
           page_bytes;
}

} // namespace forkflow::nodes
