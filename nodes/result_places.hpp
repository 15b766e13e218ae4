// SPDX-License-Identifier: MIT
// Which places of its own part a worker may write results to: those whose last result has left.
#pragma once

#include <forkflow/nodes/rings.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace forkflow::nodes {

/// Used by one worker, while it sits in its seat; see "Places" in protocol.hpp. No memory is asked for after
/// the constructor.
class result_places {
public:
    /// Throws std::bad_alloc.
    result_places(const rings& shared, std::uint32_t seat);

    /// Learns from the users of the places what the seat's workers before this one have handed in. To be
    /// called before the first try_take.
    void take_over();
    /// A place for the result of the admitted message at `position`, counted from the first message; none, if
    /// all are used by results that wait for their turn. Cost: constant, on average.
    [[nodiscard]] std::optional<result_place> try_take(std::uint64_t position);

private:
    struct use {
        std::uint64_t position;
        std::uint32_t place;
    };

    [[nodiscard]] std::atomic<std::uint64_t>& user_of(std::uint32_t place) const noexcept {
        return shared_.words_of(result_place{seat_, place}).user;
    }
    void note(use taken) noexcept;
    void take_back(std::uint64_t taken_outcomes) noexcept;

    const rings& shared_;
    std::uint32_t seat_;
    std::vector<std::uint32_t> free_; ///< the last one was freed last: its memory is there
    std::vector<use> used_;           ///< a ring, in the order in which they were taken
    std::size_t first_used_ = 0;
    std::size_t used_count_ = 0;
};

} // namespace forkflow::nodes
