// SPDX-License-Identifier: MIT
// One anonymous shared mapping, with guard pages around its parts and no name in the file system.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace forkflow::nodes {

/// Memory that this process and those which it forks share. Its parts, each a whole number of pages, lie
/// between inaccessible guard pages: `sealed` (which a worker makes read-only), `open`, and those that are
/// some worker's `own`, next to each other: whoever is not their owner makes them inaccessible. Pages take
/// memory when they are first written.
///
/// The memory is a memfd mapped by Boost.Interprocess: unlike boost's anonymous_shared_memory it can be
/// mapped without reserving swap (address space is free), handed to a process that exists already, and asked
/// for pages with an error in place of SIGBUS. Not bounded by the size of /dev/shm.
class shared_mapping {
public:
    /// How large the parts are.
    struct sizes {
        std::size_t sealed_bytes;
        std::size_t open_bytes;
        std::size_t own_bytes = 0; ///< of each of them
        std::size_t owners = 0;
    };

    /// Maps zeros; or `existing`, the `file()` of a mapping of these sizes in another process. Throws
    /// std::system_error that names the call.
    explicit shared_mapping(const sizes& parts, std::optional<descriptor> existing = {});
    ~shared_mapping();
    shared_mapping(const shared_mapping&) = delete;
    shared_mapping& operator=(const shared_mapping&) = delete;

    [[nodiscard]] std::byte* sealed() const noexcept { return sealed_; }
    [[nodiscard]] std::byte* open() const noexcept { return open_; }
    [[nodiscard]] std::byte* own(std::size_t owner) const noexcept { return own_ + owner * own_bytes_; }

    /// The memory's descriptor, for handing it to another process.
    [[nodiscard]] int file() const noexcept { return file_.get(); }

    /// Has the system put memory behind `pages` (whole ones, within a part that this process may write), so
    /// that nobody gets a SIGBUS there. False: it has none, or not enough, and some may be there. What is
    /// there stays as it is. Cost: a system call.
    [[nodiscard]] bool provide(std::span<std::byte> pages) const noexcept;
    /// Gives the memory behind `pages` back to the system: they read as zeros from now on, and take memory
    /// when they are written, in every process. Cost: a system call, and 0.1 to 0.2 µs for each.
    void give_back(std::span<std::byte> pages) const noexcept;

    /// Makes the sealed part read-only in this process, and all own parts inaccessible. To be called in a
    /// worker.
    void seal() const;
    /// Makes one's own part accessible again. To be called after seal.
    void enter(std::size_t owner) const;
    /// Keeps the mapping out of processes that this one forks. To be called in a worker.
    void withhold_from_children() const;

private:
    struct region;

    [[nodiscard]] std::int64_t offset_of(std::span<std::byte> pages) const noexcept;

    descriptor file_;
    std::unique_ptr<region> region_;
    std::size_t sealed_bytes_;
    std::size_t own_bytes_;
    std::size_t owners_;
    std::byte* sealed_ = nullptr;
    std::byte* open_ = nullptr;
    std::byte* own_ = nullptr;
};

} // namespace forkflow::nodes
