// SPDX-License-Identifier: MIT
#include <forkflow/nodes/result_places.hpp>

#include <algorithm>

namespace forkflow::nodes {

namespace {

/// Results of which no cache holds much when the place is used again.
constexpr std::size_t beyond_caches_bytes = std::size_t{16} << 20U;

} // namespace

result_places::result_places(const rings& shared, std::uint32_t seat)
    : shared_(shared)
    , seat_(seat)
    , turn_(shared.places() - 1) {}

void result_places::take_over() {
    const std::uint64_t taken =
        shared_.parent().emitted.load(std::memory_order_acquire); // as in worker::oldest
    for (std::uint32_t place = 0; place < turn_.size(); ++place) {
        // Whoever wrote them is reaped. Beyond what can be inside is what a wild worker wrote, and no user;
        // and who died before the result was whole had handed nothing in.
        const place_words& words = shared_.words_of(result_place{seat_, place});
        const std::uint64_t user = words.user.load(std::memory_order_relaxed);
        const bool is_handed_in =
            user > taken && user - taken <= shared_.capacity() &&
            words.handed_in.load(std::memory_order_relaxed) == static_cast<std::uint32_t>(user);
        turn_[place] = {.position = is_handed_in ? user - 1 : free_position, .place = place};
    }
    std::ranges::stable_sort(turn_, {}, &use::position);
    used_ = static_cast<std::size_t>(
        std::ranges::count_if(turn_, [](const use& one) { return one.position != free_position; }));
    next_ = used_ % turn_.size();
}

bool result_places::has_free() noexcept {
    if (used_ == turn_.size()) {
        // (D2): the sleeper's second look. The collector counts before it admits, so the count is not older.
        (void)shared_.parent().admitted.load(std::memory_order_seq_cst);
        take_back(shared_.parent().emitted.load(std::memory_order_acquire)); // release: reorder_window::admit
    }
    return used_ < turn_.size();
}

result_place result_places::take(std::uint64_t position, std::size_t likely_bytes) noexcept {
    std::uint32_t place = shared_.places() - 1;
    if (likely_bytes >= beyond_caches_bytes) {
        take_back(shared_.parent().emitted.load(std::memory_order_acquire));
        put_last_freed_first();
    }
    if (has_free()) {
        turn_[next_].position = position;
        place = turn_[next_].place;
        next_ = next_ + 1 < turn_.size() ? next_ + 1 : 0;
        ++used_;
    }
    user_of(place).store(position + 1, std::memory_order_relaxed); // before an extent is touched: once more
    return {.seat = seat_, .place = place};
}

/// Cost: a look at each free place.
void result_places::put_last_freed_first() noexcept {
    const std::size_t free = turn_.size() - used_;
    const auto at = [this](std::size_t nth) -> use& { return turn_[(next_ + nth) % turn_.size()]; };
    for (std::size_t nth = free; nth-- > 1;) {
        std::swap(at(nth), at(nth - 1));
    }
}

void result_places::take_back(std::uint64_t taken_outcomes) noexcept {
    const auto oldest = [this] {
        return turn_[next_ >= used_ ? next_ - used_ : next_ + turn_.size() - used_];
    };
    while (used_ > 0 && oldest().position < taken_outcomes) {
        --used_;
    }
}

} // namespace forkflow::nodes
