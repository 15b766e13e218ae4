// SPDX-License-Identifier: MIT
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/message_memory.hpp>
#include <forkflow/nodes/page_touch.hpp>
#include <forkflow/nodes/result_room.hpp>

#include <algorithm>
#include <thread>

namespace forkflow::nodes {

void result_room::begin(sequence number, result_place where) noexcept {
    number_ = number;
    where_ = where;
    bytes_ = 0;
}

bool result_room::try_make(std::size_t bytes) {
    const std::size_t target = target_for(bytes);
    if (shared_.window_bytes() != 0 && number_ != shared_.next_to_emit()) {
        hold(target, asking_bit); // before the others' words are looked at; they do the same
        if (!fits(target)) {
            hold(bytes_);
            return false;
        }
    }
    hold(target);
    take(target);
    return true;
}

void result_room::make_in_any_case(std::size_t bytes) {
    const std::size_t target = std::max(target_for(bytes), bytes_);
    hold(target);
    take(target);
}

std::size_t result_room::target_for(std::size_t bytes) const noexcept {
    return room_to_ask_for(bytes, bytes_, shared_.result(where_).extent.size());
}

void result_room::hold(std::size_t bytes, std::uint32_t flag) noexcept {
    shared_.held_pages(number_).store(static_cast<std::uint32_t>(bytes / page_bytes) | flag,
                                      std::memory_order_seq_cst);
}

bool result_room::fits(std::size_t bytes) const noexcept {
    constexpr int most_looks = 64; // who asks may have died
    const std::uint64_t most = whole_pages(shared_.window_bytes()) / page_bytes;
    for (int look = 0; look < most_looks; ++look) {
        const sums others = look_at_others(most);
        const std::uint64_t sure = bytes / page_bytes + others.sure;
        if (sure > most) {
            return false;
        }
        if (sure + others.asked_by_younger <= most) {
            return true;
        }
        std::this_thread::yield(); // they stand back, or have been faster
    }
    return false;
}

result_room::sums result_room::look_at_others(std::uint64_t most) const noexcept {
    const std::uint32_t older =
        number_ - shared_.next_to_emit(); // their slots are the last ones that are looked at
    sums found;
    for (std::uint32_t i = 1; i < shared_.window_slots() && found.sure <= most; ++i) {
        const std::uint32_t word = shared_.held_pages(number_ + i).load(std::memory_order_seq_cst); // (D2)
        const bool in_doubt = (word & asking_bit) != 0 && i + older < shared_.window_slots();
        (in_doubt ? found.asked_by_younger : found.sure) += word & ~asking_bit;
    }
    return found;
}

void result_room::take(std::size_t bytes) {
    const std::span<std::byte> extent = shared_.result(where_).extent;
    keep_from_sweeps();
    place_words& words = shared_.words_of(where_);
    const auto pages = static_cast<std::uint32_t>(bytes / page_bytes);
    words.taken_pages.store(std::max(pages, words.taken_pages.load(std::memory_order_relaxed)),
                            std::memory_order_relaxed);
    // Written by the parent before it let go of the place, or before the end of a sweep.
    const std::size_t there = shared_.pages_there(where_).load(std::memory_order_relaxed) * page_bytes;
    const std::size_t begin = std::max(bytes_, there);
    if (begin < bytes && !touch_pages(extent.data() + begin, extent.data() + bytes)) {
        throw no_message_memory(bytes);
    }
    bytes_ = std::max(bytes, bytes_);
}

/// Whoever sweeps from now on sees who uses the place; who has begun before is waited for. It does not take
/// long, and does not happen often: see pool::sweep_if_due.
void result_room::keep_from_sweeps() const noexcept {
    std::atomic<std::uint64_t>& user = shared_.words_of(where_).user;
    user.store(user.load(std::memory_order_relaxed), std::memory_order_seq_cst);
    while (shared_.parent().sweeping.load(std::memory_order_seq_cst) != 0) {
        futex_wait(shared_.parent().sweeping, 1);
    }
}

} // namespace forkflow::nodes
