// SPDX-License-Identifier: MIT
// Which places of its own part a worker may write results to: those whose last result has left.
#pragma once

#include <forkflow/nodes/rings.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace forkflow::nodes {

/// Used by one worker, while it sits in its seat; see "Places" in protocol.hpp. No memory is asked for after
/// take_over.
///
/// Places are taken in turn: what the collector has just read is in its processor's cache, and costs more to
/// write than what it read some results ago. (From 1 to 8 MiB the place that was freed last took 1.1 to 1.6
/// times as long.) From 16 MiB on, caches do not matter, and the place that was freed last comes first, so
/// that no more memory is touched than results wait.
class result_places {
public:
    /// Throws std::bad_alloc.
    result_places(const rings& shared, std::uint32_t seat);

    /// Learns from the users of the places what the seat's workers before this one have handed in. To be
    /// called before the others.
    void take_over();
    /// False if all places are used by results that wait for their turn, but for the one for the next to
    /// emit. Cost: constant, on average.
    [[nodiscard]] bool has_free() noexcept;
    /// The place for the result of the admitted message at `position`, counted from the first message: a free
    /// one, or the last one. Only if one is free, or the message is the next to emit. `likely_bytes`: a guess
    /// at the result's size.
    [[nodiscard]] result_place take(std::uint64_t position, std::size_t likely_bytes) noexcept;

private:
    struct use {
        std::uint64_t position;
        std::uint32_t place;
    };

    [[nodiscard]] std::atomic<std::uint64_t>& user_of(std::uint32_t place) const noexcept {
        return shared_.words_of(result_place{seat_, place}).user;
    }
    void take_back(std::uint64_t taken_outcomes) noexcept;
    void put_last_freed_first() noexcept;

    static constexpr std::uint64_t free_position = ~std::uint64_t{0};

    const rings& shared_;
    std::uint32_t seat_;
    std::vector<use> turn_; ///< a ring of all places but the last one, in the order in which they were taken
    std::size_t next_ = 0;  ///< behind the youngest that is used; the free ones follow
    std::size_t used_ = 0;  ///< so many of them, up to the youngest
};

} // namespace forkflow::nodes
