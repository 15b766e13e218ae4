// SPDX-License-Identifier: MIT
#include <forkflow/nodes/code_location.hpp>
#include <forkflow/nodes/own_memory.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace forkflow::nodes {
namespace {

/// Where no program has memory: below what the system lets be mapped, and beyond the lower half of the
/// address space of 64-bit processors. Without a system call.
bool is_no_address(std::uintptr_t word) {
    constexpr std::uintptr_t lowest = std::uintptr_t{1} << 16U;
    constexpr std::uintptr_t highest = std::uintptr_t{1} << (sizeof(word) == 8 ? 56U : 31U);
    return word < lowest || word >= highest;
}

bool is_mapped(std::uintptr_t address) {
    static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    unsigned char resident = 0;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): nobody looks at what lies there
    return ::mincore(reinterpret_cast<void*>(address / page * page), 1, &resident) == 0;
}

} // namespace

bool leads_to_own_memory(std::span<const std::byte> bytes) {
    for (; bytes.size() >= sizeof(std::uintptr_t); bytes = bytes.subspan(sizeof(std::uintptr_t))) {
        std::uintptr_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof(word));
        if (!is_no_address(word) && is_mapped(word) && !in_module(word)) {
            return true;
        }
    }
    return false;
}

} // namespace forkflow::nodes
