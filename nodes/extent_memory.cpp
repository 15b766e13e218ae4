// SPDX-License-Identifier: MIT
#include <forkflow/nodes/extent_memory.hpp>
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
    , results_(shared.result_slots()) {
    for (std::vector<place>* const places : {&requests_, &results_}) {
        for (std::uint32_t i = 0; i < places->size(); ++i) {
            (*places)[i].owner = this;
            (*places)[i].index = i;
        }
    }
}

byte_writer extent_memory::request_writer(sequence number, message_references* references) {
    const slot to = shared_.request(number);
    return {to.inline_area.first(std::min(inline_bytes, shared_.max_message_bytes())),
            to.extent.first(shared_.max_message_bytes()),
            nullptr,
            &requests_[number & (requests_.size() - 1)],
            ask_for_request,
            references};
}

std::size_t extent_memory::ask_for_request(void* context, std::size_t bytes) {
    place& to = *static_cast<place*>(context);
    extent_memory& self = *to.owner;
    to.used = true;
    if (bytes > to.pages * page_bytes) {
        const std::span<std::byte> extent = self.shared_.request(to.index).extent;
        const std::size_t there = to.pages * page_bytes;
        const std::size_t wanted = room_to_ask_for(bytes, there, extent.size());
        if (!self.shared_.memory().provide(extent.subspan(there, wanted - there))) {
            throw no_message_memory(bytes);
        }
        to.pages = static_cast<std::uint32_t>(wanted / page_bytes);
        self.request_pages_.fetch_add((wanted - there) / page_bytes, std::memory_order_relaxed);
    }
    return to.pages * page_bytes;
}

extent_memory::place& extent_memory::result_place(sequence number) noexcept {
    return results_[number & (results_.size() - 1)];
}

bool extent_memory::is_result_there(sequence number, std::size_t bytes) noexcept {
    place& from = result_place(number);
    from.used = true;
    const std::size_t there = from.pages * page_bytes;
    const std::size_t wanted = whole_pages(bytes);
    if (wanted > there) {
        const std::span<std::byte> extent = shared_.result(number).extent;
        if (!shared_.memory().provide(extent.subspan(there, wanted - there))) {
            return false;
        }
        from.pages = static_cast<std::uint32_t>(wanted / page_bytes);
        shared_.pages_there(number).store(from.pages, std::memory_order_relaxed);
        result_pages_.fetch_add((wanted - there) / page_bytes, std::memory_order_relaxed);
    }
    return true;
}

/// A worker's word: of use only to know where there is something to give back.
std::uint32_t extent_memory::pages_taken(const place& result) const noexcept {
    const auto most = static_cast<std::uint32_t>(shared_.result(result.index).extent.size() / page_bytes);
    return std::min(shared_.held_pages(result.index).load(std::memory_order_relaxed) & ~asking_bit, most);
}

void extent_memory::give_back_request(place& request) noexcept {
    shared_.memory().give_back(shared_.request(request.index).extent);
    request_pages_.fetch_sub(request.pages, std::memory_order_relaxed);
    request.pages = 0;
}

void extent_memory::give_back_result(place& result) noexcept {
    shared_.pages_there(result.index).store(0, std::memory_order_relaxed);
    shared_.held_pages(result.index).store(0, std::memory_order_relaxed);
    shared_.memory().give_back(shared_.result(result.index).extent);
    result_pages_.fetch_sub(result.pages, std::memory_order_relaxed);
    result.pages = 0;
    result.suspect = false;
}

void extent_memory::trim(sequence number) noexcept {
    const std::size_t bound = shared_.window_bytes();
    place& request = requests_[number & (requests_.size() - 1)];
    if (request.pages > 0 && request_pages_.load(std::memory_order_relaxed) * page_bytes > bound) {
        give_back_request(request);
    }
    place& result = result_place(number);
    result.suspect |= pages_taken(result) > result.pages;
    if (result.pages > 0 && result_pages_.load(std::memory_order_relaxed) * page_bytes > bound) {
        give_back_result(result);
    }
}

void extent_memory::sweep(sequence begin, sequence end) {
    unknown_.store(false, std::memory_order_relaxed);
    std::vector<bool> busy_requests(requests_.size());
    std::vector<bool> busy_results(results_.size());
    for (sequence number = begin; before(number, end); ++number) {
        busy_requests[number & (requests_.size() - 1)] = true;
        busy_results[number & (results_.size() - 1)] = true;
    }
    for (place& each : requests_) {
        // Those in flight are their producers' own.
        if (!busy_requests[each.index] && !std::exchange(each.used, false) && each.pages > 0) {
            give_back_request(each);
        }
    }
    for (place& each : results_) {
        if (!busy_results[each.index] && !std::exchange(each.used, false) &&
            (each.pages > 0 || each.suspect || pages_taken(each) > 0)) {
            give_back_result(each);
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
