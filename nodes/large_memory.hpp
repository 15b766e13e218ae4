// SPDX-License-Identifier: MIT
// Memory of the process's own for what may grow large and is touched once: asked for in huge pages.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>

namespace forkflow::nodes {

/// What is asked for in one piece, on Linux's most common machines one huge page.
inline constexpr std::size_t large_piece_bytes = std::size_t{2} << 20U;

/// `bytes`, rounded up to whole pieces and aligned to them. The first touch of a piece takes one page fault,
/// if the kernel has huge pages to give (transparent ones, that are not switched off); else one per page.
/// Throws std::bad_alloc. Thread-safe. Cost: four system calls, and one to give it back.
[[nodiscard]] void* allocate_large(std::size_t bytes);
void free_large(void* memory, std::size_t bytes) noexcept;

/// A standard allocator that takes what fills a piece by half or more from there, and the rest from where
/// std::allocator takes it.
template <class T>
class large_allocator {
public:
    using value_type = T;

    large_allocator() = default;
    template <class U>
    large_allocator(const large_allocator<U>&) noexcept {}

    [[nodiscard]] T* allocate(std::size_t count) {
        return is_large(count) ? static_cast<T*>(allocate_large(count * sizeof(T)))
                               : std::allocator<T>().allocate(count);
    }
    void deallocate(T* first, std::size_t count) noexcept {
        if (is_large(count)) {
            free_large(first, count * sizeof(T));
        } else {
            std::allocator<T>().deallocate(first, count);
        }
    }
    friend bool operator==(const large_allocator&, const large_allocator&) noexcept { return true; }

private:
    static_assert(alignof(T) <= large_piece_bytes);
    static bool is_large(std::size_t count) noexcept {
        constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
        return count <= most / sizeof(T) && count * sizeof(T) >= large_piece_bytes / 2; // else refused there
    }
};

} // namespace forkflow::nodes
