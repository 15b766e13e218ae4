// SPDX-License-Identifier: MIT
// Memory for buffers: what the application fills itself, in the part of the mapping that workers read.
#pragma once

#include <forkflow/nodes/shared_mapping.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace forkflow::nodes {

/// Hands out whole pages of a region, the lowest that are free first, and gives those back to the system that
/// stay free from one sweep to the next. The parent's; thread-safe. Outlives its pool for as long as there
/// are blocks, and the mapping with it.
class buffer_memory : public std::enable_shared_from_this<buffer_memory> {
    /// A run of free pages, all freed between the same two sweeps or all without memory. Neighbours of other
    /// ages stay apart, or what is used all the time would keep them young.
    struct free_run {
        std::size_t bytes = 0;
        std::optional<std::uint64_t> age{}; ///< in which sweep's time it was freed; empty: it has no pages
    };
    using free_runs = std::map<std::size_t, free_run>; ///< by offset
    using note = free_runs::node_type;

public:
    /// Pages that are in use until it is destroyed; at first none.
    class block {
    public:
        explicit block(std::shared_ptr<buffer_memory> memory)
            : memory_(std::move(memory))
            , note_(blank_note()) {}
        ~block() {
            if (!pages_.empty()) {
                memory_->free(pages_, std::move(note_));
            }
        }
        block(const block&) = delete;
        block& operator=(const block&) = delete;

        void hold(std::span<std::byte> pages) noexcept { pages_ = pages; }
        [[nodiscard]] const buffer_memory& memory() const noexcept { return *memory_; }
        [[nodiscard]] std::span<std::byte> pages() const noexcept { return pages_; }

    private:
        std::shared_ptr<buffer_memory> memory_;
        std::span<std::byte> pages_;
        note note_; ///< so that it takes no memory to give the pages back
    };

    /// `region`: whole pages within `mapping`.
    buffer_memory(std::shared_ptr<const shared_mapping> mapping, std::span<std::byte> region);

    /// At least `bytes`, from the start of a page; their contents may be anything that this program has
    /// written to an earlier block. Null: the region has no room left. Throws std::bad_alloc (of the system's
    /// memory: no_message_memory) if there is no memory. Cost: a system call, and the page faults.
    [[nodiscard]] std::shared_ptr<const block> try_allocate(std::size_t bytes);
    /// The same, but waits for room until `deadline`. Null: there was none in time, or there can never be so
    /// much, or waits were ended. Of several who wait, one who needs less may be served earlier.
    [[nodiscard]] std::shared_ptr<const block> allocate_until(std::size_t bytes,
                                                              std::chrono::steady_clock::time_point deadline);
    /// From now on nobody waits for room.
    void end_waits();

    /// Where in the region `place` lies; what a message carries of it.
    [[nodiscard]] std::uint64_t offset_of(const std::byte* place) const noexcept {
        return static_cast<std::uint64_t>(place - region_.data());
    }
    [[nodiscard]] std::size_t size() const noexcept { return region_.size(); }

    /// Gives back what has been free since before the last sweep. Takes no memory.
    void sweep() noexcept;
    /// How much is free and may have pages nonetheless.
    [[nodiscard]] std::size_t idle_bytes() const noexcept { return idle_.load(std::memory_order_seq_cst); }
    /// `on_idle` is called whenever a block becomes free, until another is set. It must not call this.
    void set_on_idle(std::function<void()> on_idle);

private:
    [[nodiscard]] static note blank_note();
    void free(std::span<std::byte> pages, note blank) noexcept;
    [[nodiscard]] std::optional<std::size_t> find_room(std::size_t bytes) const;
    void take(std::size_t offset, std::size_t bytes) noexcept;
    void insert(note blank, std::size_t offset, free_run run) noexcept;
    void join_with_one_before(free_runs::iterator& run) noexcept;
    void count_idle(const free_run& run, bool more) noexcept;

    std::shared_ptr<const shared_mapping> mapping_;
    std::span<std::byte> region_;
    std::mutex mutex_;
    std::condition_variable freed_;
    bool waits_ended_ = false;
    free_runs free_;
    std::uint64_t sweeps_ = 0;
    std::function<void()> on_idle_;
    std::atomic<std::size_t> idle_{0};
};

} // namespace forkflow::nodes
