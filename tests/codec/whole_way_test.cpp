// SPDX-License-Identifier: MIT
// What holds on a message's whole way, there and back: how often a large one is copied, and what becomes of
// lengths that a broken worker sends.
#include "fuzz/counted_memory.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/own_receiver.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_fuzz::memory_budget;
using forkflow_test::bounded_test;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20U;
constexpr std::size_t image_bytes = 16 * mib;

/// Counts how often it is copied; is sent as the vector that it holds.
struct image {
    image() = default;
    explicit image(std::vector<std::byte> given)
        : pixels(std::move(given)) {}
    image(const image& other)
        : pixels(other.pixels) {
        ++copies;
    }
    image(image&&) = default;
    image& operator=(const image& other) { return *this = image(other); }
    image& operator=(image&&) = default;
    ~image() = default;

    std::vector<std::byte> pixels;
    inline static int copies = 0;
};

} // namespace

template <>
struct forkflow::codec<image> {
    using encoded_as = std::vector<std::byte>;
    static void encode(const image& sent, writer& to) { forkflow::encode(to, sent.pixels); }
    static image decode(reader& from) { return image(forkflow::decode<encoded_as>(from)); }
};

namespace {

using pixels = std::span<const std::byte>;
using pixel_writer = forkflow::result_writer<image>;

/// Whether all of it lies in one mapping that this process shares with others.
bool is_shared(pixels seen) {
    std::FILE* const maps = std::fopen("/proc/self/maps", "re");
    bool found = false;
    char line[512];
    while (!found && std::fgets(line, sizeof line, maps) != nullptr) {
        std::uintptr_t first = 0;
        std::uintptr_t end = 0;
        char permissions[5] = {};
        const auto at = reinterpret_cast<std::uintptr_t>(seen.data());
        found = std::sscanf(line, "%zx-%zx %4s", &first, &end, permissions) == 3 && permissions[3] == 's' &&
                first <= at && at + seen.size() <= end;
    }
    std::fclose(maps);
    return found;
}

/// Inverts an image. The first byte tells what is true of the memory that it works on.
void invert(pixels from, pixel_writer& out) {
    const std::span<std::byte> to = out.resize(from.size());
    std::ranges::transform(from, to.begin(), [](std::byte each) { return ~each; });
    to.front() = static_cast<std::byte>((is_shared(from) ? 1 : 0) | (is_shared(to) ? 2 : 0));
}

image sample(std::byte colour) {
    return image(std::vector<std::byte>(image_bytes, colour));
}

bool is_inverted(const image& seen, std::byte colour) {
    return seen.pixels.size() == image_bytes && seen.pixels.front() == std::byte{3} &&
           std::all_of(seen.pixels.begin() + 1, seen.pixels.end(),
                       [&](std::byte each) { return each == ~colour; });
}

/// Its workers can take no more than a MiB from operator new, in all.
pool_options frugal() {
    return {
        .workers = 2, .window = 1, .requests = 1, .max_message_bytes = image_bytes + 64, .worker_init = [] {
            static const memory_budget all(mib);
        }};
}

} // namespace

TEST_CASE("A queue copies an image of 16 MiB once each way in the parent, and never in a worker", "[codec]") {
    const bounded_test test;
    forkflow::ordered_process_queue<image, image> queue(frugal(), invert);
    const image sent = sample(std::byte{7});
    image::copies = 0;
    for (int round = 0; round < 3; ++round) { // more than there are slots
        {
            const memory_budget none(64U << 10U);
            REQUIRE(queue.put(sent));
        }
        const memory_budget one(image_bytes + (64U << 10U));
        const auto got = queue.get();
        REQUIRE(got);
        CHECK(is_inverted(*got, std::byte{7}));
    }
    CHECK(image::copies == 0);
}

TEST_CASE("A node copies an image of 16 MiB once each way in the parent, and never in a worker", "[codec]") {
    const bounded_test test;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<image, image> node(graph, frugal(), invert);
    int whole = 0;
    forkflow_test::own_receiver<image> last(graph, [&](const image& seen) {
        whole += is_inverted(seen, std::byte{9}) ? 1 : 0;
        return true;
    });
    tbb::flow::make_edge(node, last);
    const image sent = sample(std::byte{9});
    image::copies = 0;
    for (int round = 0; round < 3; ++round) {
        REQUIRE(node.try_put(sent));
        graph.wait_for_all();
    }
    CHECK(whole == 3);
    CHECK(image::copies == 0);
}

TEST_CASE("A result that is returned is copied once more, in its worker, and so is a request that is decoded",
          "[codec]") {
    const bounded_test test;
    forkflow::ordered_process_queue<image, std::variant<image, failure>> queue(
        frugal(), [](const image& seen) { return image(seen.pixels); });
    REQUIRE(queue.put(sample(std::byte{1}))); // for which the workers have no memory: so the budget works
    const auto refused = std::get<failure>(*queue.get());
    CHECK(refused.kind == failure_kind::not_decodable);
    CHECK(refused.exception_type == "std::bad_alloc");
}

namespace {

/// Of a broken worker: it claims more than it sends.
template <class T>
struct overstated {
    std::uint64_t claimed = 0;
    T value{};
};

template <class T>
T claim(std::uint64_t count) {
    forkflow::ordered_process_queue<std::uint64_t, std::variant<overstated<T>, failure>> queue(
        pool_options{.workers = 1}, [](std::uint64_t claimed) { return overstated<T>{claimed}; });
    REQUIRE(queue.put(count));
    REQUIRE(queue.put(0));
    const memory_budget little(64U << 10U); // the failure's texts take some
    auto broken = queue.get();
    CHECK(std::get<failure>(*broken).kind == failure_kind::not_decodable);
    CHECK(std::get<failure>(*broken).exception_type == "forkflow::not_decodable");
    auto whole = queue.get();
    return std::get<overstated<T>>(std::move(*whole)).value;
}

} // namespace

template <class T>
struct forkflow::codec<overstated<T>> {
    static void encode(const overstated<T>& sent, writer& to) {
        to.write_value(sent.claimed);
        const char some[64] = {};
        to.write(some, sent.claimed == 0 ? 0 : sizeof some);
    }
    static overstated<T> decode(reader& from) { return {0, forkflow::decode<T>(from)}; }
};

TEMPLATE_TEST_CASE("A length of 2^63 from a worker is a failure in its place, and takes no memory", "[codec]",
                   std::string, std::vector<double>, std::vector<bool>, std::vector<std::string>,
                   (std::map<int, std::string>), (std::unordered_set<int>), std::list<int>) {
    const bounded_test test;
    for (const std::uint64_t count : {std::uint64_t{1} << 63U, ~std::uint64_t{0}, std::uint64_t{1} << 33U}) {
        CHECK(claim<TestType>(count).empty());
    }
}

namespace {

/// Of a broken worker: a chain that does not end.
struct chain {
    std::unique_ptr<chain> next;
};
struct endless {
    chain first;
};

} // namespace

template <>
struct forkflow::codec<chain> : forkflow::aggregate_codec<chain> {};
template <>
struct forkflow::codec<endless> {
    static void encode(const endless&, writer& to) {
        for (int i = 0; i < 100'000; ++i) {
            to.write_value(true);
        }
    }
    static endless decode(reader& from) { return {forkflow::decode<chain>(from)}; }
};

TEST_CASE("Nesting without end from a worker is a failure in its place", "[codec]") {
    const bounded_test test;
    forkflow::ordered_process_queue<int, std::variant<endless, failure>> queue(1,
                                                                               [](int) { return endless{}; });
    REQUIRE(queue.put(1));
    const memory_budget little(256U << 10U);
    auto broken = queue.get();
    CHECK(std::get<failure>(*broken).kind == failure_kind::not_decodable);
    CHECK(std::get<failure>(*broken).what.find("nested deeper") != std::string::npos);
}
