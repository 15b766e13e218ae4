// SPDX-License-Identifier: MIT
// The reader stays within its bytes; the writer moves once, counts exactly, and asks once before it writes.
#include "support/catch.hpp"

#include <forkflow/nodes/bytes.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <vector>

namespace bytes_test {

using forkflow::not_decodable;
using forkflow::nodes::byte_reader;
using forkflow::nodes::byte_writer;

namespace {

constexpr std::size_t inline_bytes = 48;
constexpr std::size_t extent_bytes = 160;
constexpr std::byte untouched{0xEE};

// Both areas of a writer, with bytes around them that show when something is written where it should not be.
struct areas {
    alignas(16) std::array<std::byte, inline_bytes + 16> small;
    alignas(16) std::array<std::byte, extent_bytes + 16> large;

    areas() {
        small.fill(untouched);
        large.fill(untouched);
    }
    std::span<std::byte> inline_area() { return std::span(small).first(inline_bytes); }
    std::span<std::byte> extent() { return std::span(large).first(extent_bytes); }
    bool ends_are_untouched() const {
        const auto is_untouched = [](std::byte b) { return b == untouched; };
        return std::all_of(small.begin() + inline_bytes, small.end(), is_untouched) &&
               std::all_of(large.begin() + extent_bytes, large.end(), is_untouched);
    }
    bool extent_is_untouched() const {
        return std::all_of(large.begin(), large.end(), [](std::byte b) { return b == untouched; });
    }
};

std::vector<std::byte> numbered(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i != size; ++i) {
        bytes[i] = static_cast<std::byte>(i * 7 + 1);
    }
    return bytes;
}

bool equal(std::span<const std::byte> left, std::span<const std::byte> right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

void write_in_pieces(byte_writer& to, std::span<const std::byte> bytes, std::size_t piece) {
    while (!bytes.empty()) {
        const auto next = bytes.first(std::min(piece, bytes.size()));
        to.write(next.data(), next.size());
        bytes = bytes.subspan(next.size());
    }
}

} // namespace

TEST_CASE("a writer keeps every payload whole, wherever it outgrows an area", "[bytes]") {
    for (const std::size_t piece : {1u, 3u, 8u, 47u, 48u, 49u, 1000u}) {
        for (std::size_t size = 0; size <= extent_bytes + 20; ++size) {
            INFO(size << " bytes in pieces of " << piece);
            areas memory;
            byte_writer to(memory.inline_area(), memory.extent());
            const auto payload = numbered(size);
            write_in_pieces(to, payload, piece);
            REQUIRE(to.size() == size);
            REQUIRE(to.overflowed() == (size > extent_bytes));
            REQUIRE(to.in_extent() == (size > inline_bytes && size <= extent_bytes));
            REQUIRE(equal(to.written(), to.overflowed() ? std::span<const std::byte>() : payload));
            REQUIRE(memory.ends_are_untouched());
            if (size <= inline_bytes) {
                REQUIRE(memory.extent_is_untouched());
            } else if (size <= extent_bytes) {
                REQUIRE(to.written().data() == memory.large.data());
            }

            to.rewind();
            REQUIRE(to.size() == 0);
            REQUIRE_FALSE(to.overflowed());
            write_in_pieces(to, std::span(payload).first(std::min(size, inline_bytes)), piece);
            REQUIRE(equal(to.written(), std::span(payload).first(std::min(size, inline_bytes))));
            REQUIRE_FALSE(to.in_extent());
        }
    }
}

TEST_CASE("a write too large for any area touches none", "[bytes]") {
    areas memory;
    byte_writer to(memory.inline_area(), memory.extent());
    to.write_value(std::uint64_t{1});
    const auto payload = numbered(extent_bytes);
    to.write(payload.data(), payload.size());
    CHECK(to.overflowed());
    CHECK(to.size() == extent_bytes + sizeof(std::uint64_t));
    CHECK(to.written().empty());
    CHECK(memory.extent_is_untouched());
    to.write_value('x'); // would fit the inline area, but the payload is lost already
    CHECK(to.size() == extent_bytes + sizeof(std::uint64_t) + 1);
    // Only counted, never read; volatile, or compilers warn of a size that no memory has.
    const volatile std::size_t endless = std::numeric_limits<std::size_t>::max();
    to.write(payload.data(), endless);
    CHECK(to.size() == std::numeric_limits<std::size_t>::max());
}

TEST_CASE("a writer that is resized keeps what it has, in the area where readers look for it", "[bytes]") {
    constexpr std::size_t sizes[] = {0, 1, inline_bytes, inline_bytes + 1, extent_bytes};
    for (const std::size_t first : sizes) {
        for (const std::size_t second : sizes) {
            INFO("from " << first << " to " << second << " bytes");
            areas memory;
            byte_writer to(memory.inline_area(), memory.extent());
            const auto payload = numbered(first);
            const std::span<std::byte> room = to.resize(first);
            REQUIRE(room.size() == first);
            std::copy(payload.begin(), payload.end(), room.begin());
            REQUIRE(equal(to.written(), payload));

            const std::size_t kept = std::min(first, second);
            REQUIRE(to.resize(second).size() == second);
            REQUIRE(to.size() == second);
            REQUIRE(to.in_extent() == (second > inline_bytes));
            REQUIRE(equal(to.written().first(kept), std::span(payload).first(kept)));
            to.write_value('x');
            REQUIRE(to.size() == second + 1);
            REQUIRE(to.overflowed() == (second == extent_bytes));
            REQUIRE(memory.ends_are_untouched());
        }
    }
}

TEST_CASE("a writer that is resized beyond its areas counts, until it is rewound", "[bytes]") {
    areas memory;
    byte_writer to(memory.inline_area(), memory.extent());
    CHECK(to.resize(std::numeric_limits<std::size_t>::max()).empty());
    CHECK(to.overflowed());
    CHECK(to.size() == std::numeric_limits<std::size_t>::max());
    CHECK(to.resize(1).empty());
    CHECK(to.overflowed());
    CHECK(to.size() == std::numeric_limits<std::size_t>::max());
    to.rewind();
    CHECK(to.resize(extent_bytes).size() == extent_bytes);
    CHECK(memory.ends_are_untouched());
}

TEST_CASE("a writer without any area counts", "[bytes]") {
    byte_writer to({}, {});
    to.write(nullptr, 0);
    CHECK_FALSE(to.overflowed());
    to.write_value(std::uint32_t{5});
    to.align(16);
    CHECK(to.overflowed());
    CHECK(to.size() == 16);
}

TEST_CASE("a writer that has only an extent starts there", "[bytes]") {
    areas memory;
    byte_writer to({}, memory.extent());
    to.write_value(std::uint32_t{5});
    CHECK(to.in_extent());
    CHECK(to.written().data() == memory.large.data());
}

TEST_CASE("the hook is called once, before the first byte", "[bytes]") {
    struct witness {
        areas memory;
        int calls = 0;
        bool nothing_written = true;
        static byte_writer::areas call(void* context) {
            auto& self = *static_cast<witness*>(context);
            ++self.calls;
            self.nothing_written = self.memory.small[0] == untouched && self.memory.extent_is_untouched();
            return {self.memory.inline_area(), self.memory.extent()};
        }
    };
    for (const std::size_t first : {std::size_t{1}, inline_bytes, inline_bytes + 1, extent_bytes + 1}) {
        INFO("a first write of " << first << " bytes");
        witness seen;
        byte_writer to(&witness::call, &seen);
        to.write(nullptr, 0);
        to.align(16);
        to.rewind();
        CHECK(seen.calls == 0);
        const auto payload = numbered(first);
        to.write(payload.data(), payload.size());
        CHECK(seen.calls == 1);
        CHECK(seen.nothing_written);
        CHECK(to.size() == first);
        to.write_value(1);
        to.open();
        to.rewind();
        to.write_value('a');
        to.write(payload.data(), payload.size());
        CHECK(seen.calls == 1);
        CHECK(to.size() == first + 1);
    }

    witness resized;
    byte_writer room(&witness::call, &resized);
    CHECK(room.resize(0).empty());
    CHECK(resized.calls == 0);
    CHECK(room.resize(1).size() == 1);
    CHECK(resized.calls == 1);
    CHECK(room.resize(inline_bytes + 1).size() == inline_bytes + 1);
    CHECK(resized.calls == 1);

    witness seen;
    byte_writer empty(&witness::call, &seen);
    empty.open();
    CHECK(seen.calls == 1);
    CHECK(empty.size() == 0);
    empty.write_value(1);
    CHECK(seen.calls == 1);
}

TEST_CASE("a hook that throws stops the write, and is asked again", "[bytes]") {
    struct refusal {
        areas memory;
        int calls = 0;
    } once;
    const auto refuse_once = [](void* context) -> byte_writer::areas {
        refusal& self = *static_cast<refusal*>(context);
        if (++self.calls == 1) {
            throw std::runtime_error("not yet");
        }
        return {self.memory.inline_area(), self.memory.extent()};
    };
    areas& memory = once.memory;
    byte_writer to(refuse_once, &once);
    CHECK_THROWS_AS(to.write_value(1), std::runtime_error);
    CHECK(to.size() == 0);
    CHECK(memory.small[0] == untouched);
    to.write_value(1);
    CHECK(once.calls == 2);
    CHECK(to.size() == sizeof(int));
}

TEST_CASE("what a writer aligned is aligned for the reader, in either area", "[bytes]") {
    for (const std::size_t alignment : {1u, 2u, 4u, 8u, 16u}) {
        for (std::size_t before = 0; before <= inline_bytes + 2; ++before) {
            INFO(before << " bytes, then alignment to " << alignment);
            areas memory;
            byte_writer to(memory.inline_area(), memory.extent());
            const auto payload = numbered(before);
            to.write(payload.data(), payload.size());
            to.align(alignment);
            REQUIRE(to.size() % alignment == 0);
            REQUIRE(to.size() < before + alignment);
            to.write_value(std::byte{42});

            byte_reader from(to.written());
            REQUIRE(equal(from.take(before), payload));
            from.align(alignment);
            REQUIRE(from.read_value<std::byte>() == std::byte{42});
            REQUIRE(from.remaining() == 0);
            const auto padding = to.written().subspan(before, to.size() - before - 1);
            REQUIRE(
                std::all_of(padding.begin(), padding.end(), [](std::byte b) { return b == std::byte{0}; }));
        }
    }
}

TEST_CASE("a reader refuses what is not there, and stays where it was", "[bytes]") {
    const auto payload = numbered(10);
    byte_reader from(payload);
    std::array<std::byte, 16> to{};
    CHECK_THROWS_AS(from.read(to.data(), 11), not_decodable);
    CHECK_THROWS_AS(from.take(std::numeric_limits<std::size_t>::max()), not_decodable);
    CHECK_THROWS_AS((from.read_value<std::array<char, 11>>()), not_decodable);
    CHECK(from.remaining() == 10);
    from.read(to.data(), 9);
    CHECK(equal(std::span(to).first(9), std::span(payload).first(9)));
    CHECK_THROWS_AS(from.align(16), not_decodable);
    CHECK_THROWS_AS(from.take(std::numeric_limits<std::size_t>::max() - 8), not_decodable);
    CHECK(from.rest().data() == payload.data() + 9);
    CHECK(from.rest().size() == 1);
    CHECK(from.take(1).data() == payload.data() + 9);
    CHECK(from.take(0).empty());
    CHECK_THROWS_AS(from.read_value<char>(), not_decodable);

    byte_reader nothing({});
    nothing.read(nullptr, 0);
    nothing.align(16);
    CHECK(nothing.rest().empty());
    CHECK_THROWS_AS(nothing.read_value<char>(), not_decodable);
}

TEST_CASE("a reader takes any bytes for a value, but only 0 and 1 for a truth value", "[bytes]") {
    struct made_from_int {
        explicit made_from_int(int given)
            : value(given) {}
        int value;
    };
    areas memory;
    byte_writer to(memory.inline_area(), memory.extent());
    to.write_value(made_from_int(7));
    to.write_value(true);
    to.write_value(false);
    to.write_value(std::byte{2});
    byte_reader from(to.written());
    CHECK(from.read_value<made_from_int>().value == 7);
    CHECK(from.read_value<bool>());
    CHECK_FALSE(from.read_value<bool>());
    CHECK_THROWS_AS(from.read_value<bool>(), not_decodable);
}

TEST_CASE("levels of nesting are bounded, and end with their scope", "[bytes]") {
    byte_reader from({});
    byte_writer to({}, {});
    const auto descend = [&](const auto& self, std::size_t levels) -> void {
        if (levels != 0) {
            const auto read_level = from.enter();
            const auto written_level = to.enter();
            self(self, levels - 1);
        }
    };
    for (int i = 0; i != 3; ++i) {
        CHECK_NOTHROW(descend(descend, forkflow::nodes::max_nesting));
        CHECK_THROWS_AS(descend(descend, forkflow::nodes::max_nesting + 1), not_decodable);
    }
    std::vector<std::unique_ptr<forkflow::nodes::nesting>> levels;
    for (std::size_t i = 0; i != forkflow::nodes::max_nesting; ++i) {
        levels.emplace_back(new forkflow::nodes::nesting(to.enter()));
    }
    CHECK_THROWS_AS(to.enter(), std::length_error);
}

TEST_CASE("a writer uses no more of its extent than it was allowed, and asks for what it needs", "[bytes]") {
    struct landlord {
        std::size_t allowed = 0;
        std::size_t asked = 0;
        bool refuses = false;
    };
    alignas(16) std::array<std::byte, 16> small{};
    alignas(16) std::array<std::byte, 4096> large{};
    landlord owner;
    byte_writer to(small, large, &owner, [](void* context, std::size_t bytes) {
        auto& self = *static_cast<landlord*>(context);
        if (self.refuses) {
            throw std::bad_alloc();
        }
        ++self.asked;
        return self.allowed = (bytes + 255) / 256 * 256;
    });
    const std::vector<std::byte> block(3000, std::byte{5});
    to.write(block.data(), 16);
    CHECK(owner.asked == 0);
    for (std::size_t i = 17; i <= 600; ++i) {
        to.write_value(std::byte{5});
        REQUIRE(to.size() <= owner.allowed);
    }
    CHECK(owner.asked == 3);
    CHECK(large[owner.allowed] == std::byte{0});
    CHECK(to.resize(1000).size() == 1000);
    CHECK(owner.allowed == 1024);
    owner.refuses = true;
    CHECK_THROWS_AS(to.write(block.data(), block.size()), std::bad_alloc);
    CHECK_THROWS_AS(to.resize(2000), std::bad_alloc);
    CHECK(to.size() == 1000);
    CHECK(to.written()[599] == std::byte{5});
    to.write(block.data(), 24); // what was allowed stays so
    owner.refuses = false;
    to.write(block.data(), block.size());
    CHECK(to.size() == 4024);
    const std::size_t asked = owner.asked;
    to.write(block.data(), block.size()); // nobody is asked for what can never be had
    CHECK(to.overflowed());
    CHECK(owner.asked == asked);
    to.rewind();
    to.write(block.data(), block.size());
    CHECK(owner.asked == asked);
    CHECK(to.in_extent());
}

TEST_CASE("a reader refers to what is shared, and to nothing beyond it", "[bytes]") {
    const std::array<std::byte, 100> shared{};
    const byte_reader from({}, shared);
    CHECK(from.refer(0, 100).size() == 100);
    CHECK(from.refer(40, 60).data() == shared.data() + 40);
    CHECK(from.refer(100, 0).empty());
    constexpr std::uint64_t most = ~std::uint64_t{0};
    CHECK_THROWS_AS(from.refer(101, 0), not_decodable);
    CHECK_THROWS_AS(from.refer(1, 100), not_decodable);
    CHECK_THROWS_AS(from.refer(most, 2), not_decodable);
    CHECK_THROWS_AS(from.refer(2, most), not_decodable);
    CHECK_THROWS_AS(byte_reader({}).refer(0, 1), not_decodable);
}

} // namespace bytes_test
