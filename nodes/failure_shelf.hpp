// SPDX-License-Identifier: MIT
// Where the parent keeps the failures that it made itself, until their turn comes.
#pragma once

#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/sequence.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace forkflow::nodes {

/// One place per sequence in flight, private to the parent. A place is written by whoever owns its state word
/// at that moment, before it stores `failed`, and taken by the collector, after it saw `failed`: so no lock
/// is needed.
class failure_shelf {
public:
    /// `capacity`: a power of two, as rings::capacity.
    explicit failure_shelf(std::size_t capacity)
        : places_(capacity) {}

    void put(sequence number, failure outcome) {
        outcome.sequence = number;
        places_[number & (places_.size() - 1)] = std::make_unique<failure>(std::move(outcome));
    }
    /// Nothing, if no failure was put there: then a worker has written a state word that it may not write.
    [[nodiscard]] std::optional<failure> take(sequence number) {
        const std::unique_ptr<failure> outcome = std::move(places_[number & (places_.size() - 1)]);
        return outcome ? std::optional(std::move(*outcome)) : std::nullopt;
    }

private:
    std::vector<std::unique_ptr<failure>> places_;
};

} // namespace forkflow::nodes
