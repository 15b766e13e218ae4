// SPDX-License-Identifier: MIT
// Where the parent keeps the failures that it made itself, until their turn comes.
#pragma once

#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/sequence.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace forkflow::nodes {

/// In place of words that there is no memory for. Takes none itself.
inline constexpr const char* no_words = "(no memory)";

/// What `say` returns, if there is memory for it.
template <class Say>
std::string said(Say say) noexcept {
    try {
        return say();
    } catch (...) { // no memory
        return no_words;
    }
}

/// What a message becomes if there is no memory to say what became of it. Takes none.
inline failure failure_without_words() noexcept {
    return {.kind = failure_kind::no_memory, .what = no_words};
}

/// What `tell` returns; without memory for that, a failure without words.
template <class Tell>
failure told(Tell tell) noexcept {
    try {
        return tell();
    } catch (...) { // no memory
        return failure_without_words();
    }
}

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
        for (sequence place = 0; place < places_.size(); ++place) {
            exchange(place, nullptr);
        }
    }

    /// Without memory for it, it is a failure without words, as whoever puts one must go on to store
    /// `failed`.
    template <class Failure>
    void put(sequence number, Failure&& outcome) noexcept {
        exchange(number, kept(number, std::forward<Failure>(outcome)));
    }
    /// Nothing, if no failure was put there: then a worker has written a state word that it may not write.
    [[nodiscard]] std::optional<failure> take(sequence number) {
        const owner outcome = exchange(number, nullptr);
        if (outcome.get() == &wordless_) {
            return failure_without_words();
        }
        return outcome ? std::optional(std::move(*outcome)) : std::nullopt;
    }

private:
    struct deleter {
        const failure* wordless;
        void operator()(failure* outcome) const noexcept {
            if (outcome != wordless) {
                delete outcome;
            }
        }
    };
    using owner = std::unique_ptr<failure, deleter>;

    template <class Failure>
    failure* kept(sequence number, Failure&& outcome) noexcept {
        try {
            auto copy = std::make_unique<failure>(std::forward<Failure>(outcome));
            copy->sequence = number;
            return copy.release();
        } catch (...) { // no memory
            return &wordless_;
        }
    }
    owner exchange(sequence number, failure* outcome) noexcept {
        return owner(places_[number & (places_.size() - 1)].exchange(outcome, std::memory_order_acq_rel),
                     deleter{&wordless_});
    }

    failure wordless_ = failure_without_words(); ///< only its address counts
    std::vector<std::atomic<failure*>> places_;  ///< owning
};

} // namespace forkflow::nodes
