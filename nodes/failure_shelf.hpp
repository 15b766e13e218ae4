// SPDX-License-Identifier: MIT
// Where the parent keeps the failures that it made itself, until their turn comes.
#pragma once

#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/sequence.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace forkflow::nodes {

/// One place per sequence in flight, private to the parent. A place is written by whoever owns its state word
/// at that moment, before it stores `failed`, and taken by the collector, after it saw `failed`. A wild
/// worker can write `failed` while the owner is at it; so each place is exchanged in one step.
class failure_shelf {
public:
    /// `capacity`: a power of two, as rings::capacity.
    explicit failure_shelf(std::size_t capacity)
        : places_(capacity) {}

    failure_shelf(const failure_shelf&) = delete;
    failure_shelf& operator=(const failure_shelf&) = delete;
    ~failure_shelf() {
        for (auto& place : places_) {
            delete place.load();
        }
    }

    void put(sequence number, failure outcome) {
        outcome.sequence = number;
        exchange(number, std::make_unique<failure>(std::move(outcome)));
    }
    /// Nothing, if no failure was put there: then a worker has written a state word that it may not write.
    [[nodiscard]] std::optional<failure> take(sequence number) {
        const std::unique_ptr<failure> outcome = exchange(number, nullptr);
        return outcome ? std::optional(std::move(*outcome)) : std::nullopt;
    }

private:
    std::unique_ptr<failure> exchange(sequence number, std::unique_ptr<failure> outcome) {
        return std::unique_ptr<failure>(
            places_[number & (places_.size() - 1)].exchange(outcome.release(), std::memory_order_acq_rel));
    }

    std::vector<std::atomic<failure*>> places_; ///< owning
};

} // namespace forkflow::nodes
