// SPDX-License-Identifier: MIT
// Memory in huge pages, alone: that it is asked for so, whole, and given back whole.
#include "support/catch.hpp"
#include "support/processes.hpp"

#include <forkflow/nodes/large_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <vector>

namespace large_memory_test {

using namespace forkflow::nodes;

namespace {

std::uint64_t mapped_kib() {
    return forkflow_test::field_of("/proc/self/status", "VmSize:");
}

/// The flags of the mapping that `address` belongs to, as /proc/self/smaps has them.
std::string flags_at(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream maps("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        unsigned long long first = 0;
        unsigned long long last = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx ", &first, &last) == 2) {
            inside = first <= at && at < last;
        } else if (inside && line.starts_with("VmFlags:")) {
            return line + " ";
        }
    }
    return {};
}

} // namespace

TEST_CASE("Large memory comes in whole pieces, and all of it goes back") {
    const std::uint64_t before = mapped_kib();
    for (const std::size_t bytes : {std::size_t{1}, large_piece_bytes, large_piece_bytes + 1}) {
        for (int i = 0; i < 8; ++i) { // wherever the kernel puts them
            CAPTURE(bytes, i);
            void* const memory = allocate_large(bytes);
            const std::size_t whole = bytes <= large_piece_bytes ? large_piece_bytes : 2 * large_piece_bytes;
            CHECK(reinterpret_cast<std::uintptr_t>(memory) % large_piece_bytes == 0);
            std::memset(memory, i, whole);
            free_large(memory, bytes);
        }
    }
    CHECK(mapped_kib() < before + large_piece_bytes / 1024);
}

TEST_CASE("Large memory is asked for in huge pages") {
    if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
        WARN("not looked at: this kernel has none");
        return;
    }
    void* const memory = allocate_large(large_piece_bytes);
    CHECK(flags_at(memory).find(" hg ") != std::string::npos);
    free_large(memory, large_piece_bytes);
}

TEST_CASE("Memory that nobody has is refused") {
    for (const std::size_t bytes : {std::size_t{1} << 60U, std::numeric_limits<std::size_t>::max()}) {
        CHECK_THROWS_AS(allocate_large(bytes), std::bad_alloc);
    }
    large_allocator<std::uint64_t> from;
    for (const std::size_t count : {std::size_t{1} << 57U, std::numeric_limits<std::size_t>::max() / 8 + 2}) {
        CHECK_THROWS_AS(from.allocate(count), std::bad_alloc);
    }
}

TEST_CASE("The allocator serves containers of any size") {
    std::vector<std::uint64_t, large_allocator<std::uint64_t>> numbers;
    for (std::uint64_t i = 0; i < 2'000'000; ++i) {
        numbers.push_back(i);
    }
    for (std::uint64_t i = 0; i < 2'000'000; ++i) {
        REQUIRE(numbers[i] == i);
    }
    CHECK(flags_at(numbers.data()).find(" rd wr ") != std::string::npos);
}

} // namespace large_memory_test
