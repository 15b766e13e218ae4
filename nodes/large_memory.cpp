// SPDX-License-Identifier: MIT
#include <forkflow/nodes/large_memory.hpp>

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>

// The leak checker of a program that has one: what is mapped by hand it does not search for pointers
// otherwise. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" [[gnu::weak]] void __lsan_register_root_region(const void* begin, std::size_t size);
extern "C" [[gnu::weak]] void __lsan_unregister_root_region(const void* begin, std::size_t size);
// NOLINTEND(bugprone-reserved-identifier)

namespace forkflow::nodes {
namespace {

constexpr std::size_t in_pieces(std::size_t bytes) noexcept {
    return (bytes + large_piece_bytes - 1) / large_piece_bytes * large_piece_bytes;
}

} // namespace

void* allocate_large(std::size_t bytes) {
    if (bytes > std::numeric_limits<std::ptrdiff_t>::max()) {
        throw std::bad_alloc();
    }
    const std::size_t whole = in_pieces(bytes);
    void* const mapped = ::mmap(nullptr, whole + large_piece_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        throw std::bad_alloc();
    }
    // What lies before and behind the aligned part goes back.
    auto* const begin = static_cast<std::byte*>(mapped);
    const std::size_t before =
        in_pieces(reinterpret_cast<std::uintptr_t>(begin)) - reinterpret_cast<std::uintptr_t>(begin);
    if (before > 0) {
        ::munmap(begin, before);
    }
    ::munmap(begin + before + whole, large_piece_bytes - before);
    ::madvise(begin + before, whole, MADV_HUGEPAGE); // a kernel without them says so, and it goes on as it is
    if (&__lsan_register_root_region != nullptr) {
        __lsan_register_root_region(begin + before, whole);
    }
    return begin + before;
}

void free_large(void* memory, std::size_t bytes) noexcept {
    if (&__lsan_unregister_root_region != nullptr) {
        __lsan_unregister_root_region(memory, in_pieces(bytes));
    }
    ::munmap(memory, in_pieces(bytes));
}

} // namespace forkflow::nodes
