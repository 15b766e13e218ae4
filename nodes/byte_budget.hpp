// SPDX-License-Identifier: MIT
// How many bytes of requests are inside, in the parent's own memory.
#pragma once

#include <forkflow/nodes/sequence.hpp>

#include <atomic>
#include <cstddef>
#include <vector>

namespace forkflow::nodes {

/// A bound on bytes for messages whose size is known only once they are encoded. A message that has a number
/// counts as the largest there may be; once it is committed, as what it is; until its outcome is taken. One
/// more is let in while less than the bound is counted, so it is exceeded by one message at the most.
///
/// `reserve` for one thread at a time; all else is thread-safe. Without a bound nothing is counted.
class byte_budget {
public:
    /// `limit_bytes` 0: no bound. `capacity`: a power of two, as rings::capacity.
    byte_budget(std::size_t limit_bytes, std::size_t most_bytes, std::size_t capacity)
        : limit_(limit_bytes)
        , most_(most_bytes)
        , charges_(limit_bytes == 0 ? 0 : capacity) {}

    /// True if `more` messages may come in, one after the other, none of them committed before the last is
    /// in.
    [[nodiscard]] bool has_room(std::size_t more) const noexcept {
        return limit_ == 0 || counted_.load(std::memory_order_seq_cst) + (more - 1) * most_ < limit_; // (D4)
    }
    void reserve(sequence number) noexcept {
        if (limit_ != 0) {
            charge(number) = most_;
            counted_.fetch_add(most_, std::memory_order_seq_cst);
        }
    }
    /// True if there is room since, and was none before. To be called at most once after reserve; without one
    /// it does nothing.
    [[nodiscard]] bool commit(sequence number, std::size_t bytes) noexcept {
        return limit_ != 0 && charge(number) != 0 && take_off(number, most_ - bytes);
    }
    void release(sequence number) noexcept {
        if (limit_ != 0) {
            (void)take_off(number, charge(number));
        }
    }

private:
    std::size_t& charge(sequence number) noexcept { return charges_[number & (charges_.size() - 1)]; }

    bool take_off(sequence number, std::size_t bytes) noexcept {
        charge(number) -= bytes;
        const std::size_t before = counted_.fetch_sub(bytes, std::memory_order_seq_cst); // (D4)
        return before >= limit_ && before - bytes < limit_;
    }

    const std::size_t limit_;
    const std::size_t most_;
    std::vector<std::size_t> charges_; ///< by number; who owns the number in the protocol owns its charge
    std::atomic<std::size_t> counted_{0};
};

} // namespace forkflow::nodes
