// SPDX-License-Identifier: MIT
#include <forkflow/nodes/result_check.hpp>
#include <forkflow/nodes/verified_copy.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace forkflow::nodes {

void verified_copy::take(waiting_outcome& outcome, std::uint64_t check) {
    const std::size_t size = outcome.payload.size();
    try {
        memory_.resize(std::max(memory_.size(), (size + payload_alignment - 1) / payload_alignment));
    } catch (const std::bad_alloc&) {
        outcome.in_memory = outcome.sound = false;
        outcome.payload = {};
        return;
    }
    if (size != 0) {
        std::memcpy(memory_.data(), outcome.payload.data(), size);
    }
    // So that compilers look at the copy, and not at the source once more.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    outcome.payload = {reinterpret_cast<const std::byte*>(memory_.data()), size};
    if (result_check(outcome.number, outcome.kind, outcome.payload) != check) {
        outcome.intact = outcome.sound = false;
        outcome.payload = {};
    }
}

void verified_copy::forget() noexcept {
    constexpr std::size_t much_bytes = std::size_t{1} << 20U;
    if (memory_.size() * sizeof(block) > much_bytes) {
        std::vector<block>().swap(memory_);
    }
}

} // namespace forkflow::nodes
