// SPDX-License-Identifier: MIT
// The reorder window: takes outcomes in arrival order, owns the admission counter, and lets waiting workers
// go on.
#pragma once

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/rings.hpp>

#include <atomic>
#include <optional>

namespace forkflow::nodes {

/// The next outcome, still in its slot.
struct waiting_outcome {
    sequence number;
    message_state state;                ///< published, failed or marker
    unsigned attempts;                  ///< attempts at the message so far
    std::span<const std::byte> payload; ///< of a published result; a copy of its length was checked
    result_kind kind;                   ///< of a published result
    result_place where{};               ///< of a published result
    bool sound;                         ///< false: the worker's header makes no sense
    bool in_memory = true;              ///< false: there is no memory to read the payload
};

/// The collector's half of the parent. One thread at a time, but for `next_to_emit` and `notify`.
///
/// The admission counter moves once per run of outcomes (and within a run after each quarter of the window),
/// so that workers are woken in batches; it never lags while the collector waits.
class reorder_window {
public:
    explicit reorder_window(const rings& shared);

    /// The next outcome in arrival order, if it is there; or the one that is `ahead` places behind it, for
    /// who has seen all in between. Never blocks.
    [[nodiscard]] std::optional<waiting_outcome> peek(std::uint32_t ahead = 0) const;
    /// Frees the place of the outcome that peek showed and turns to the next.
    void release();
    /// Moves the admission counter up to the last release and wakes the workers that it admits.
    void admit();
    /// Registers that the collector waits for the next outcome: its publisher rings the parent. Returns
    /// false, and registers nothing, if the outcome is there.
    [[nodiscard]] bool arm();
    /// Takes arm back: nobody rings a collector that looks anyway.
    void disarm();

    /// The oldest message in flight. Thread-safe. Acquire: its slot's previous use is over.
    [[nodiscard]] sequence next_to_emit() const noexcept {
        return next_to_emit_.load(std::memory_order_acquire);
    }
    /// True if `number` is released, or is being released: so that it is not in flight although
    /// next_to_emit may still name it. Thread-safe; exact for who has read the word that release wrote.
    [[nodiscard]] bool is_released(sequence number) const noexcept {
        return before(number, released_.load(std::memory_order_acquire));
    }
    /// Rings the parent if the collector waits for this number. Thread-safe.
    void notify(sequence number) const;

private:
    [[nodiscard]] state_word word_of(sequence number) const;
    void look_at_result(waiting_outcome& outcome) const;
    [[nodiscard]] bool is_outcome(const state_word& word, sequence number) const;

    const rings& shared_;
    [[maybe_unused]] cache_line_gap collectors_{};
    std::atomic<sequence> next_to_emit_;
    std::atomic<sequence> released_; ///< the number behind the last one that was released
    std::uint32_t released_since_admission_ = 0;
    [[maybe_unused]] cache_line_gap others_{};
};

} // namespace forkflow::nodes
