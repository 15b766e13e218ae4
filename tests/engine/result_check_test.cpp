// SPDX-License-Identifier: MIT
// The checksum of a result: what it tells, and that it does not matter which of it was taken in while bytes
// were copied.
#include "support/catch.hpp"
#include "support/engine_messages.hpp"

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/result_check.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace result_check_test {

using namespace forkflow::nodes;
using forkflow_test::pattern_byte;

namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = pattern_byte(size, i);
    }
    return bytes;
}

std::uint64_t check_of(std::span<const std::byte> bytes) {
    return result_check(5, result_kind::value, bytes);
}
std::uint64_t check_of(std::span<const std::byte> bytes, const copied_blocks& copied) {
    return result_check(5, result_kind::value, bytes, copied);
}

/// Where a result is written, and what was taken in of it meanwhile.
struct result_being_written {
    static constexpr std::size_t most = std::size_t{1} << 20U;

    struct alignas(payload_alignment) block {
        std::byte bytes[payload_alignment];
    };
    std::vector<block> small{inline_bytes / sizeof(block)};
    std::vector<block> large{most / sizeof(block)};
    copied_blocks copied;
    byte_writer to{[](void* self) -> byte_writer::areas {
                       auto& here = *static_cast<result_being_written*>(self);
                       return {{here.small.data()->bytes, inline_bytes}, {here.large.data()->bytes, most}};
                   },
                   this, [](void*, std::size_t bytes) { return bytes; }, &copied};

    void write(std::span<const std::byte> bytes) { to.write(bytes.data(), bytes.size()); }
};

} // namespace

TEST_CASE("The checksum tells any change of a byte, of the length, of the kind and of the message") {
    for (const std::size_t size : {0U, 1U, 7U, 8U, 31U, 32U, 33U, 240U, 1000U, 1023U, 1024U, 1025U, 2500U}) {
        std::vector<std::byte> bytes = some_bytes(size);
        const std::uint64_t check = check_of(bytes);
        CAPTURE(size);
        CHECK(check_of(some_bytes(size)) == check);
        CHECK(result_check(6, result_kind::value, bytes) != check);
        CHECK(result_check(5, result_kind::failure, bytes) != check);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] ^= std::byte{0x10};
            CHECK(check_of(bytes) != check);
            bytes[i] ^= std::byte{0x10};
        }
        bytes.push_back(std::byte{0});
        CHECK(check_of(bytes) != check);
    }
}

TEST_CASE("The checksum of fresh memory is that of no result") {
    CHECK(result_check(0, result_kind::value, {}) != 0);
}

TEST_CASE("The checksum tells whether equal words, or equal blocks, have changed places") {
    std::vector<std::byte> bytes(4 * check_block_bytes);
    bytes[0] = std::byte{1};
    const std::uint64_t first = check_of(bytes);
    for (std::size_t place = 8; place < bytes.size(); place += 8) {
        std::vector<std::byte> moved(bytes.size());
        moved[place] = std::byte{1};
        CHECK(check_of(moved) != first);
    }
}

TEST_CASE("Stretches of any length, anywhere, that were taken in as they grew, do not change the checksum") {
    std::mt19937_64 random(7);
    for (int round = 0; round < 300; ++round) {
        const std::vector<std::byte> bytes = some_bytes(random() % (40 * check_block_bytes));
        copied_blocks copied;
        for (std::size_t at = 0; at < bytes.size(); at += random() % (4 * check_block_bytes)) {
            const std::size_t size = random() % (bytes.size() - at + 1);
            for (std::size_t grown = 0; grown < size; grown += random() % 3000) {
                copied.take_in(at, std::span(bytes).subspan(at, grown));
            }
            copied.take_in(at, std::span(bytes).subspan(at, size));
            at += size;
        }
        CAPTURE(round, bytes.size());
        CHECK(check_of(bytes, copied) == check_of(bytes));
    }
}

TEST_CASE("What was taken in counts as it was then, and nothing else does") {
    std::vector<std::byte> bytes = some_bytes(10 * check_block_bytes);
    const std::uint64_t check = check_of(bytes);
    copied_blocks copied;
    copied.take_in(100, std::span(bytes).subspan(100, 5 * check_block_bytes)); // four whole blocks
    for (std::size_t i = 0; i < bytes.size(); i += 64) {
        const bool is_taken_in = i >= check_block_bytes && i < 5 * check_block_bytes;
        bytes[i] ^= std::byte{1};
        CAPTURE(i);
        CHECK((check_of(bytes, copied) == check) == is_taken_in);
        bytes[i] ^= std::byte{1};
    }
    copied.forget();
    bytes[2 * check_block_bytes] ^= std::byte{1};
    CHECK(check_of(bytes, copied) != check);
}

TEST_CASE("However a result is written, its checksum is that of the bytes that stand there at the end") {
    std::mt19937_64 random(8);
    for (int round = 0; round < 300; ++round) {
        result_being_written result;
        std::vector<std::byte> expected;
        for (auto writes = random() % 8; writes > 0; --writes) {
            const std::size_t size =
                random() % 2 == 0 ? random() % 300 : random() % (3 * least_checked_copy_bytes);
            const std::vector<std::byte> bytes = some_bytes(size);
            switch (random() % 10) {
            case 0:
                result.to.rewind();
                expected.clear();
                break;
            case 1:
                expected.resize(std::min(expected.size(), size));
                (void)result.to.resize(expected.size());
                break;
            case 2: { // in place
                const std::span<std::byte> all = result.to.resize(expected.size() + size);
                std::ranges::copy(bytes, all.begin() + static_cast<std::ptrdiff_t>(expected.size()));
                if (!all.empty()) {
                    all[0] = std::byte{7};
                }
                expected.assign(all.begin(), all.end());
                break;
            }
            default:
                result.write(bytes);
                expected.insert(expected.end(), bytes.begin(), bytes.end());
            }
        }
        CAPTURE(round, expected.size());
        REQUIRE_FALSE(result.to.overflowed());
        REQUIRE(std::ranges::equal(result.to.written(), expected));
        CHECK(check_of(result.to.written(), result.copied) == check_of(expected));
    }
}

TEST_CASE("A long stretch is taken in as it is written, and what spoils it before it is handed in shows") {
    result_being_written result;
    result.write(some_bytes(8));
    result.write(some_bytes(least_checked_copy_bytes));
    const std::uint64_t check = check_of(result.to.written());
    result.large[least_checked_copy_bytes / 2 / payload_alignment].bytes[0] ^= std::byte{1};
    CHECK(check_of(result.to.written()) != check);
    CHECK(check_of(result.to.written(), result.copied) == check);
}

TEST_CASE(
    "However a result is read, it has the same checksum, and what is spoilt after it was read counts not") {
    std::mt19937_64 random(9);
    for (int round = 0; round < 300; ++round) {
        std::vector<std::byte> bytes = some_bytes(random() % (8 * least_checked_copy_bytes));
        const std::uint64_t check = check_of(bytes);
        copied_blocks copied;
        byte_reader from(bytes, {}, &copied);
        std::vector<std::byte> read;
        while (from.remaining() > 0) {
            const std::size_t size = std::min(from.remaining(), random() % (3 * least_checked_copy_bytes));
            read.resize(read.size() + size);
            from.read(read.data() + (read.size() - size), size);
        }
        CAPTURE(round, bytes.size());
        CHECK(read == bytes);
        CHECK(check_of(bytes, copied) == check);
        if (!bytes.empty()) {
            const std::size_t at = random() % bytes.size();
            bytes[at] ^= std::byte{1};
            copied_blocks copied_again;
            byte_reader again(bytes, {}, &copied_again);
            again.read(read.data(), bytes.size());
            CHECK(check_of(bytes, copied_again) != check);
        }
    }
}

TEST_CASE("What is looked at twice is verified as it stands there at the end") {
    const std::size_t size = 2 * least_checked_copy_bytes;
    std::vector<std::byte> read(size);
    const auto passes = [&](auto look_twice) {
        std::vector<std::byte> bytes = some_bytes(size);
        const std::uint64_t check = check_of(bytes);
        copied_blocks copied;
        byte_reader from(bytes, {}, &copied);
        look_twice(from, bytes);
        return check_of(bytes, copied) == check;
    };
    const auto spoil = [](std::vector<std::byte>& bytes) { bytes[5000] ^= std::byte{1}; };
    CHECK(passes([&](byte_reader& from, auto& bytes) { // once
        from.read(read.data(), size);
        spoil(bytes);
    }));
    CHECK_FALSE(passes([&](byte_reader& from, auto& bytes) {
        byte_reader ahead = from;
        ahead.read(read.data(), size);
        spoil(bytes);
        from.read(read.data(), size);
    }));
    CHECK_FALSE(passes([&](byte_reader& from, auto& bytes) {
        const byte_reader before = from;
        from.read(read.data(), size);
        spoil(bytes);
        from = before;
        from.read(read.data(), size);
    }));
    CHECK_FALSE(passes([&](byte_reader& from, auto& bytes) {
        const std::span<const std::byte> seen = from.rest();
        from.read(read.data(), size);
        spoil(bytes);
        CHECK(seen.size() == size);
    }));
}

} // namespace result_check_test
