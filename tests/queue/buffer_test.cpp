// SPDX-License-Identifier: MIT
// Buffers as messages: read where they lie, kept as long as somebody may read them, and refused where they
// mean nothing.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/shared_flags.hpp"

#include <forkflow/fork_server.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace buffer_test {

using forkflow::buffer;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::shared_flags;

struct picture {
    int width = 0;
    buffer pixels{};
    std::vector<buffer> layers{};
};

} // namespace buffer_test

template <>
struct forkflow::codec<buffer_test::picture> : forkflow::aggregate_codec<buffer_test::picture> {};

namespace buffer_test {

namespace {

using outcome = std::variant<std::size_t, failure>;
using queue_of_buffers = forkflow::ordered_process_queue<buffer, outcome>;

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

std::size_t sum_of(std::span<const std::byte> bytes) {
    return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0}, [](std::size_t sum, std::byte each) {
        return sum + static_cast<std::size_t>(each);
    });
}

buffer filled(buffer made, int value) {
    std::memset(made.bytes().data(), value, made.size());
    return made;
}

template <class Queue>
const failure& failure_of(Queue& queue) {
    static std::optional<outcome> got;
    got = *queue.get();
    REQUIRE(std::holds_alternative<failure>(*got));
    return std::get<failure>(*got);
}

template <class Queue>
std::size_t result_of(Queue& queue) {
    const outcome got = *queue.get();
    REQUIRE(std::holds_alternative<std::size_t>(got));
    return std::get<std::size_t>(got);
}

} // namespace

TEST_CASE("A body reads a buffer where the application wrote it") {
    const bounded_test bounds;
    queue_of_buffers queue(2, [](std::span<const std::byte> bytes) {
        return bytes.empty() ? 0 : reinterpret_cast<std::uintptr_t>(bytes.data()) + sum_of(bytes);
    });
    for (const std::size_t size : {std::size_t{1}, std::size_t{5000}, 8 * mebibyte}) {
        const buffer message = filled(queue.make_buffer(size), 3);
        CHECK(message.size() == size);
        REQUIRE(queue.put(message));
        CHECK(result_of(queue) == reinterpret_cast<std::uintptr_t>(message.bytes().data()) + 3 * size);
    }
    REQUIRE(queue.put(buffer())); // has no bytes, and needs no memory
    CHECK(result_of(queue) == 0);
}

TEST_CASE("Parts of a buffer are messages too, and must lie within it") {
    const bounded_test bounds;
    queue_of_buffers queue(1, sum_of);
    buffer whole = filled(queue.make_buffer(1000), 1);
    std::memset(whole.bytes().data() + 500, 2, 500);
    REQUIRE(queue.put(whole.part(400, 200)));
    CHECK(result_of(queue) == 300);
    CHECK(whole.part(1000, 0).empty());
    CHECK_THROWS_AS(whole.part(1001, 0), std::out_of_range);
    CHECK_THROWS_AS(whole.part(1, 1000), std::out_of_range);
}

TEST_CASE("A buffer is kept until the outcome of each message that refers to it is out, also for a retry") {
    const bounded_test bounds;
    const shared_flags flags(1);
    pool_options options{.workers = 1, .window = 4};
    options.buffer_bytes = mebibyte;
    queue_of_buffers queue(options, [&](std::span<const std::byte> bytes) {
        if (flags.add(0) == 0) {
            std::abort(); // the second attempt reads it again
        }
        return sum_of(bytes);
    });
    std::optional<buffer> message = filled(queue.make_buffer(mebibyte / 2 + 1), 5);
    REQUIRE(queue.put(*message));
    REQUIRE(queue.put(*message));
    message.reset();
    CHECK_FALSE(queue.try_make_buffer(mebibyte / 2)); // there is no room for another
    CHECK_THROWS_AS(queue.make_buffer(mebibyte / 2), std::bad_alloc);
    CHECK(result_of(queue) == 5 * (mebibyte / 2 + 1));
    CHECK_FALSE(queue.try_make_buffer(mebibyte / 2));
    CHECK(result_of(queue) == 5 * (mebibyte / 2 + 1));
    CHECK(queue.try_make_buffer(mebibyte / 2));
    CHECK(queue.statistics().retries == 1);
}

TEST_CASE("A buffer that is larger than all that there may be cannot be made") {
    const bounded_test bounds;
    queue_of_buffers queue(pool_options{.workers = 1, .buffer_bytes = mebibyte}, sum_of);
    CHECK_FALSE(queue.try_make_buffer(mebibyte + 1));
    CHECK_FALSE(queue.try_make_buffer(~std::size_t{0}));
    CHECK(queue.try_make_buffer(mebibyte));
}

TEST_CASE("Buffers within aggregates, containers, tuples and variants are read in place") {
    const bounded_test bounds;
    using input = std::variant<picture, std::tuple<buffer, std::string>, std::optional<buffer>>;
    forkflow::ordered_process_queue<input, outcome> queue(2, [](const input& message) {
        if (const auto* const shown = std::get_if<picture>(&message)) {
            std::size_t sum = sum_of(shown->pixels.bytes()) * static_cast<std::size_t>(shown->width);
            for (const buffer& layer : shown->layers) {
                sum += sum_of(layer.bytes());
            }
            return sum;
        }
        if (const auto* const pair = std::get_if<std::tuple<buffer, std::string>>(&message)) {
            return sum_of(std::get<0>(*pair).bytes()) + std::get<1>(*pair).size();
        }
        return sum_of(std::get<std::optional<buffer>>(message).value().bytes());
    });
    const auto make = [&](int value) { return filled(queue.make_buffer(10'000), value); };
    REQUIRE(queue.put(picture{.width = 2, .pixels = make(1), .layers = {make(3), make(4)}}));
    REQUIRE(queue.put(std::tuple(make(5), std::string("four"))));
    REQUIRE(queue.put(std::optional(make(6))));
    CHECK(result_of(queue) == 90'000);
    CHECK(result_of(queue) == 50'004);
    CHECK(result_of(queue) == 60'000);
}

TEST_CASE("A buffer of another pool, or of one that has ended, makes its message a failure that says so") {
    const bounded_test bounds;
    queue_of_buffers queue(1, sum_of);
    std::optional<queue_of_buffers> other(std::in_place, 1, sum_of);
    buffer foreign = filled(other->make_buffer(10'000), 2);
    REQUIRE(queue.put(foreign));
    const auto says_so = [&] {
        const failure& refused = failure_of(queue);
        CHECK(refused.kind == failure_kind::not_encodable);
        CHECK(refused.what.find("buffer of another pool") != std::string::npos);
    };
    says_so();
    other.reset();
    REQUIRE(queue.put(foreign));
    says_so();
    CHECK(sum_of(foreign.bytes()) == 20'000); // its memory is still there
    foreign.bytes()[0] = std::byte{3};
    REQUIRE(queue.put(filled(queue.make_buffer(10), 1)));
    CHECK(result_of(queue) == 10);
}

TEST_CASE("A result cannot hold a buffer, and a body that writes to one costs its message") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<buffer, std::variant<buffer, failure>> back(
        pool_options{.workers = 1, .attempts = 1}, [](const buffer& message) {
            if (message.bytes()[0] == std::byte{9}) {
                *const_cast<volatile std::byte*>(message.bytes().data()) = std::byte{1};
            }
            return message;
        });
    REQUIRE(back.put(filled(back.make_buffer(10), 1)));
    REQUIRE(back.put(filled(back.make_buffer(10), 9)));
    CHECK(std::get<failure>(*back.get()).kind == failure_kind::not_encodable);
    const failure crash = std::get<failure>(*back.get());
    CHECK(crash.kind == failure_kind::crashed);
    CHECK(crash.signal == SIGSEGV);
}

TEST_CASE("Many buffers pass while only a few have room at a time") {
    const bounded_test bounds;
    queue_of_buffers queue(pool_options{.workers = 2, .window = 8, .buffer_bytes = mebibyte}, sum_of);
    std::size_t put = 0;
    std::size_t got = 0;
    while (got < 300) {
        std::optional<buffer> next = put < 300 ? queue.try_make_buffer(100'000 + put * 300) : std::nullopt;
        if (next) {
            const std::size_t value = put++ % 200;
            REQUIRE(queue.put(filled(std::move(*next), static_cast<int>(value))));
        } else {
            CHECK(result_of(queue) == got % 200 * (100'000 + got * 300));
            ++got;
        }
    }
}

TEST_CASE("Workers of a fork_server, which have the memory elsewhere, read buffers in place as well") {
    const bounded_test bounds;
    forkflow::fork_server server;
    queue_of_buffers queue(pool_options{.workers = 2, .server = &server},
                           [](std::span<const std::byte> bytes) {
                               std::size_t sum = 0;
                               for (const std::byte each : bytes) {
                                   sum += static_cast<std::size_t>(each);
                               }
                               return sum;
                           });
    for (int value = 1; value < 20; ++value) {
        REQUIRE(queue.put(filled(queue.make_buffer(50'000), value)));
        CHECK(result_of(queue) == 50'000 * static_cast<std::size_t>(value));
    }
}

} // namespace buffer_test
