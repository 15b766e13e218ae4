// SPDX-License-Identifier: MIT
// The memory behind the extents: asked for before it is used, kept while messages come that need it, given
// back when none does.
#pragma once

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/rings.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace forkflow::nodes {

/// The parent's. An extent takes address space; its pages come when the first message needs them, and stay
/// for the next ones. What no message has needed from one *sweep* to the next goes back to the system.
///
/// Nobody is at work on pages that are given back. Those of a message that is being released: its bytes were
/// taken, and whoever read or wrote them has published or is reaped; slot and place are used again only once
/// it is released. Those of a slot that no number in flight has: nobody claims what has no number, and a
/// sweep is made while no number is given. Those of a place whose user is not in flight: see "Memory" in
/// protocol.hpp. A wild worker may be writing there nonetheless: then pages come back, empty, until the next
/// sweep; and what it says about users and pages concerns its own results only.
///
/// Request and result of one number are used by whoever owns that number in the protocol; the sweep by
/// whoever holds `collecting` and keeps numbers from being given. The totals are atomic.
class extent_memory {
public:
    explicit extent_memory(const rings& shared);
    extent_memory(const extent_memory&) = delete;
    extent_memory& operator=(const extent_memory&) = delete;

    /// Where the request with this number is to be written. Its writes throw no_message_memory.
    [[nodiscard]] byte_writer request_writer(sequence number, message_references* references = nullptr);
    /// Sees to it that the first `bytes` of the extent of the result `number`, which lies there, can be read.
    /// False: there is no memory for them, although a worker says that it has written there.
    [[nodiscard]] bool is_result_there(sequence number, result_place where, std::size_t bytes) noexcept;
    /// To be called before a message is released, if there is a bound on bytes: gives back its pages if more
    /// than the bound are kept.
    void trim(sequence number) noexcept;

    /// Gives back what was not used since the last sweep; numbers from `begin` to `end` are in flight. Cost:
    /// one look at each slot.
    void sweep(sequence begin, sequence end);
    /// True if so much is kept that there should be a sweep.
    [[nodiscard]] bool keeps_much() const noexcept;
    /// After a failure a worker may have left pages that only a sweep finds.
    void expect_unknown_pages() noexcept { unknown_.store(true, std::memory_order_relaxed); }

    /// How much is known to be kept.
    [[nodiscard]] std::size_t kept_bytes() const noexcept;

private:
    /// One slot's extent.
    struct request_extent {
        extent_memory* owner = nullptr;
        std::uint32_t index = 0;
        std::uint32_t pages = 0; ///< so many of its first pages are there
        bool used = false;       ///< since the last sweep
    };
    struct result_extent {
        std::uint32_t pages = 0; ///< likewise
        bool used = false;       ///< likewise
    };

    static std::size_t ask_for_request(void* context, std::size_t bytes);
    [[nodiscard]] std::optional<result_place>& shown(sequence number) noexcept;
    [[nodiscard]] std::uint32_t pages_taken(result_place where) const noexcept;
    void give_back_request(request_extent& request) noexcept;
    void give_back_result(result_place where) noexcept;
    void sweep_requests(sequence begin, sequence end) noexcept;
    void sweep_results(std::uint64_t taken_outcomes, std::uint32_t in_flight) noexcept;

    const rings& shared_;
    std::vector<request_extent> requests_;
    std::vector<result_extent> results_;             ///< by rings::index_of
    std::vector<std::optional<result_place>> shown_; ///< by number: where its large result was found
    std::atomic<std::size_t> request_pages_{0};
    std::atomic<std::size_t> result_pages_{0};
    std::atomic<bool> unknown_{false};
};

} // namespace forkflow::nodes
