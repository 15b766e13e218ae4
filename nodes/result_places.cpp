// SPDX-License-Identifier: MIT
#include <forkflow/nodes/result_places.hpp>

#include <algorithm>

namespace forkflow::nodes {

result_places::result_places(const rings& shared, std::uint32_t seat)
    : shared_(shared)
    , seat_(seat)
    , used_(shared.places() - 1) {
    free_.reserve(used_.size());
}

void result_places::take_over() {
    const std::uint64_t taken =
        shared_.parent().emitted.load(std::memory_order_acquire); // as in worker::oldest
    free_.clear();
    first_used_ = used_count_ = 0;
    for (auto place = static_cast<std::uint32_t>(used_.size()); place-- > 0;) {
        // Whoever wrote it is reaped.
        const std::uint64_t user = user_of(place).load(std::memory_order_relaxed);
        // Beyond what can be inside is what a wild worker wrote, and no user.
        if (user > taken && user - taken <= shared_.capacity()) {
            note({.position = user - 1, .place = place});
        } else {
            free_.push_back(place);
        }
    }
    std::ranges::sort(used_.begin(), used_.begin() + static_cast<std::ptrdiff_t>(used_count_), {},
                      &use::position);
}

std::optional<result_place> result_places::try_take(std::uint64_t position) {
    // (D2): the sleeper's second look. The collector counts before it admits, so the count is not older.
    const sequence admitted = shared_.parent().admitted.load(std::memory_order_seq_cst);
    take_back(
        shared_.parent().emitted.load(std::memory_order_acquire)); // the release in reorder_window::admit
    std::uint32_t place = shared_.places() - 1;
    if (!free_.empty()) {
        place = free_.back();
        free_.pop_back();
        note({.position = position, .place = place});
    } else if (shared_.first() + static_cast<sequence>(position) != admitted - shared_.window() + 1) {
        return std::nullopt;
    }
    user_of(place).store(position + 1, std::memory_order_relaxed); // before an extent is touched: once more
    return result_place{.seat = seat_, .place = place};
}

void result_places::note(use taken) noexcept {
    const std::size_t end = first_used_ + used_count_++;
    used_[end < used_.size() ? end : end - used_.size()] = taken;
}

void result_places::take_back(std::uint64_t taken_outcomes) noexcept {
    while (used_count_ > 0 && used_[first_used_].position < taken_outcomes) {
        free_.push_back(used_[first_used_].place);
        first_used_ = first_used_ + 1 < used_.size() ? first_used_ + 1 : 0;
        --used_count_;
    }
}

} // namespace forkflow::nodes
