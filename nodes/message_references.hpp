// SPDX-License-Identifier: MIT
// What messages refer to instead of carrying it: kept until their outcomes are out.
#pragma once

#include <forkflow/nodes/buffer_memory.hpp>
#include <forkflow/nodes/sequence.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace forkflow::nodes {

/// The blocks that one message refers to. Used by whoever owns its number in the protocol.
class message_references {
public:
    /// Keeps `block` until the message's outcome is taken.
    void keep(std::shared_ptr<const buffer_memory::block> block) {
        blocks_.push_back(std::move(block));
        count_->fetch_add(1, std::memory_order_relaxed);
    }
    /// Of which memory blocks may be.
    [[nodiscard]] const buffer_memory& memory() const noexcept { return *memory_; }

private:
    friend class reference_shelf;

    const buffer_memory* memory_ = nullptr;
    std::atomic<std::size_t>* count_ = nullptr;
    std::vector<std::shared_ptr<const buffer_memory::block>> blocks_;
};

/// One place per sequence in flight.
class reference_shelf {
public:
    /// `capacity`: a power of two, as rings::capacity.
    reference_shelf(std::size_t capacity, const buffer_memory& memory)
        : places_(capacity) {
        for (message_references& place : places_) {
            place.memory_ = &memory;
            place.count_ = &count_;
        }
    }
    reference_shelf(const reference_shelf&) = delete;
    reference_shelf& operator=(const reference_shelf&) = delete;

    [[nodiscard]] message_references& of(sequence number) noexcept {
        return places_[number & (places_.size() - 1)];
    }
    /// To be called once the outcome is there; again, it does nothing. Cheap if no message refers to
    /// anything.
    void release(sequence number) noexcept {
        if (count_.load(std::memory_order_relaxed) >
            0) { // this message's were counted before it was committed
            count_.fetch_sub(of(number).blocks_.size(), std::memory_order_relaxed);
            of(number).blocks_.clear();
        }
    }

private:
    std::vector<message_references> places_;
    std::atomic<std::size_t> count_{0};
};

} // namespace forkflow::nodes
