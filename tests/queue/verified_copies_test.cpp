// SPDX-License-Identifier: MIT
// Long results, of which the checksum is taken while they are copied: they arrive whole, and where their
// worker has written over them, wherever that is, they are failures that say so.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/wild_worker.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

namespace verified_copies_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;

namespace {

struct sample { // 12 bytes, so that no number of them fills a block of the checksum
    std::int32_t x, y, z;
    friend bool operator==(const sample&, const sample&) = default;
};

/// Several long stretches, of elements of several sizes, and short ones between.
using long_result = std::tuple<std::string, std::vector<sample>, std::int32_t, std::vector<double>,
                               std::vector<std::byte>, std::array<std::uint64_t, 5000>, std::string>;
using outcome = std::variant<long_result, failure>;

long_result result_of(std::int32_t seed) {
    long_result made{std::string(static_cast<std::size_t>(seed), 'a'),
                     std::vector<sample>(10'000),
                     seed,
                     std::vector<double>(20'000, 0.5 * seed),
                     std::vector<std::byte>(33'000, std::byte{3}),
                     {},
                     "the end"};
    auto& samples = std::get<1>(made);
    for (std::size_t i = 0; i < samples.size(); ++i) {
        samples[i] = {seed, static_cast<std::int32_t>(i), -seed};
    }
    std::get<5>(made).fill(static_cast<std::uint64_t>(seed));
    return made;
}

constexpr std::int32_t messages = 12;

pool_options one_worker() {
    return {.workers = 1, .window = messages};
}

bool is_overwritten(const outcome& one) {
    const auto* const failed = std::get_if<failure>(&one);
    return failed != nullptr && failed->kind == failure_kind::not_decodable &&
           failed->what.find("overwritten") != std::string::npos;
}

/// Whose codec throws when most is written.
struct half_written {};

/// Whose codec kills its worker when most of the third one is written.
struct deadly_written {
    std::string text;
};

} // namespace

} // namespace verified_copies_test

template <>
struct forkflow::codec<verified_copies_test::half_written> {
    static void encode(const verified_copies_test::half_written&, writer& to) {
        forkflow::encode(to, std::string(100'000, 'x'));
        throw std::runtime_error("no more of it");
    }
    static verified_copies_test::half_written decode(reader&) { return {}; }
};

template <>
struct forkflow::codec<verified_copies_test::deadly_written> {
    static void encode(const verified_copies_test::deadly_written& value, writer& to) {
        forkflow::encode(to, value.text);
        static int written = 0; // by this worker
        if (++written == 3) {
            ::raise(SIGKILL);
        }
        to.write_value('.');
    }
    static verified_copies_test::deadly_written decode(reader& from) {
        verified_copies_test::deadly_written value{forkflow::decode<std::string>(from)};
        (void)from.read_value<char>();
        return value;
    }
};

namespace verified_copies_test {

TEST_CASE(
    "A worker that dies when a long stretch is written costs an attempt, and the result arrives whole") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<std::int32_t, std::variant<deadly_written, failure>> queue(
        one_worker(), [](std::int32_t seed) {
            return deadly_written{std::string(100'000, static_cast<char>('a' + seed))};
        });
    for (std::int32_t seed = 0; seed < messages; ++seed) {
        REQUIRE(queue.put(seed));
    }
    for (std::int32_t seed = 0; seed < messages; ++seed) {
        const auto one = *queue.get();
        REQUIRE(std::holds_alternative<deadly_written>(one));
        CHECK(std::get<deadly_written>(one).text == std::string(100'000, static_cast<char>('a' + seed)));
    }
    CHECK(queue.statistics().deaths >= static_cast<std::size_t>(messages) / 3);
}

TEST_CASE("A codec that throws when a long stretch is written makes a failure that says what it threw") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<std::int32_t, std::variant<half_written, failure>> queue(
        one_worker(), [](std::int32_t) { return half_written(); });
    for (std::int32_t seed = 0; seed < 3; ++seed) {
        REQUIRE(queue.put(seed));
        const auto one = *queue.get();
        REQUIRE(std::holds_alternative<failure>(one));
        CHECK(std::get<failure>(one).what == "no more of it");
    }
}

TEST_CASE("Results with several long stretches arrive whole") {
    const bounded_test bounds;
    for (const bool verifies : {true, false}) {
        pool_options options = one_worker();
        options.workers = 2;
        options.verify_results = verifies;
        forkflow::ordered_process_queue<std::int32_t, outcome> queue(options, result_of);
        for (std::int32_t seed = 0; seed < 30; ++seed) {
            REQUIRE(queue.put(seed));
            const outcome one = *queue.get();
            REQUIRE(std::holds_alternative<long_result>(one));
            CHECK(std::get<long_result>(one) == result_of(seed));
        }
    }
}

TEST_CASE(
    "A long result that its worker writes over once it has handed it in is a failure, wherever that is") {
    const bounded_test bounds;
    const forkflow_test::wild_map map(one_worker());
    forkflow::ordered_process_queue<std::int32_t, outcome> queue(one_worker(), [&map](std::int32_t seed) {
        if (seed == messages - 1) { // places are taken in turn, and all else has been handed in
            const auto rings = forkflow_test::find_writable_rings();
            for (std::size_t place = 0; place < messages - 1; ++place) {
                auto& spoilt = map.extent(rings, place)[9 + place * 35'000];
                spoilt ^= std::byte{1};
            }
        }
        return result_of(7);
    });
    for (std::int32_t seed = 0; seed < messages; ++seed) {
        REQUIRE(queue.put(seed));
    }
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (queue.statistics().finished < messages && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(1ms);
    }
    for (std::int32_t seed = 0; seed < messages; ++seed) {
        const outcome one = *queue.get();
        CAPTURE(seed);
        CHECK(is_overwritten(one) == (seed < messages - 1));
    }
}

} // namespace verified_copies_test
