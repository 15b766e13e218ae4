// SPDX-License-Identifier: MIT
// Room for a result that outgrows its slot: the worker's side of the bound on bytes, and of memory that may
// not be there.
#pragma once

#include <forkflow/nodes/rings.hpp>

#include <cstddef>
#include <cstdint>

namespace forkflow::nodes {

/// Used by one worker, for one result after the other; each of them is admitted.
class result_room {
public:
    explicit result_room(const rings& shared) noexcept
        : shared_(shared) {}

    /// Turns to the result `number`, which this worker has claimed, and which has no room yet in its place.
    void begin(sequence number, result_place where) noexcept;
    /// Makes room for `bytes`, or a few more, in its extent; bytes() says how many. False: the bound on bytes
    /// is in the way, and nothing has changed. Throws no_message_memory. Cost: a look at one word for each
    /// result in the window, if there is a bound; and the page faults.
    [[nodiscard]] bool try_make(std::size_t bytes);
    /// The same, whatever the bound: for what a failure has to say.
    void make_in_any_case(std::size_t bytes);
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    [[nodiscard]] std::size_t target_for(std::size_t bytes) const noexcept;
    void hold(std::size_t bytes, std::uint32_t flag = 0) noexcept;
    [[nodiscard]] bool fits(std::size_t bytes) const noexcept;
    /// Pages of other results: those that count, and those that younger ones ask for, who stand back.
    struct sums {
        std::uint64_t sure = 0;
        std::uint64_t asked_by_younger = 0;
    };
    [[nodiscard]] sums look_at_others(std::uint64_t most) const noexcept;
    void take(std::size_t bytes);
    void keep_from_sweeps() const noexcept;

    const rings& shared_;
    sequence number_ = 0;
    result_place where_{};
    std::size_t bytes_ = 0;
};

} // namespace forkflow::nodes
