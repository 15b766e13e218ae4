// SPDX-License-Identifier: MIT
// Bodies that read their request and write their result in the shared memory, in workers.
#include "codec_types.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/result_writer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace body_in_place_test {

using codec_types::page;
using codec_types::page_view;
using forkflow_test::bounded_test;
using forkflow_test::recorder;

namespace {

struct batch_done {
    int number = 0;
    bool operator==(const batch_done&) const = default;
};

/// What a node with these options and this body makes of the messages.
template <class Input, class Output, class Body>
std::vector<Output> outcomes_of(const std::vector<Input>& messages, Body body,
                                forkflow::pool_options options = {}) {
    tbb::flow::graph g;
    options.workers = 2;
    forkflow::ordered_process_node<Input, Output> node(g, options, std::move(body));
    const recorder<Output> seen(g, node);
    for (const Input& message : messages) {
        node.try_put(message);
    }
    g.wait_for_all();
    return seen.values();
}

void reverse_into(std::span<const std::byte> in, forkflow::result_writer<std::string>& out) {
    const std::span<char> place = out.resize(in.size());
    std::transform(in.rbegin(), in.rend(), place.begin(), [](std::byte b) { return static_cast<char>(b); });
}

} // namespace

TEST_CASE("a body reads bytes and writes its result in place, in order, at any size", "[codec]") {
    bounded_test test;
    std::vector<std::string> messages;
    std::vector<std::string> expected;
    for (std::size_t i = 0; i != 200; ++i) {
        messages.push_back(std::string(i % 7 * i * 11, 'x') + std::to_string(i));
        expected.emplace_back(messages.back().rbegin(), messages.back().rend());
    }
    CHECK(outcomes_of<std::string, std::string>(messages, reverse_into) == expected);
}

TEST_CASE("a body takes a view of the user's, which its Input is not convertible to", "[codec]") {
    bounded_test test;
    STATIC_REQUIRE_FALSE(std::is_convertible_v<page, page_view>);
    const std::vector<page> messages{{"a", {1, 2, 3}}, {"bcd", {}}};
    const auto body = [](const page_view& seen) { return seen.url.size() * 10 + seen.links.size(); };
    CHECK(outcomes_of<page, std::size_t>(messages, body) == std::vector<std::size_t>{13, 30});
}

TEST_CASE("a result written in place is one alternative of the outcome, beside markers and failures",
          "[codec]") {
    bounded_test test;
    using item = std::variant<std::vector<double>, batch_done>;
    using outcome = std::variant<std::vector<float>, batch_done, forkflow::failure>;
    const auto body = [](std::span<const double> in, forkflow::result_writer<std::vector<float>>& out) {
        if (in.empty()) {
            return; // and so is the result
        }
        if (in.front() < 0) {
            out.resize(1).front() = 1; // not seen by anybody
            throw std::runtime_error("negative");
        }
        const std::span<float> halves = out.resize(in.size());
        std::transform(in.begin(), in.end(), halves.begin(),
                       [](double x) { return static_cast<float>(x / 2); });
    };
    const auto seen =
        outcomes_of<item, outcome>({std::vector<double>{2, 4}, batch_done{1}, std::vector<double>{},
                                    std::vector<double>{-1}, batch_done{2}},
                                   body);
    REQUIRE(seen.size() == 5);
    CHECK(std::get<0>(seen[0]) == std::vector<float>{1, 2});
    CHECK(std::get<1>(seen[1]) == batch_done{1});
    CHECK(std::get<0>(seen[2]).empty());
    CHECK(std::get<2>(seen[3]).kind == forkflow::failure_kind::threw);
    CHECK(std::get<2>(seen[3]).what == "negative");
    CHECK(std::get<1>(seen[4]) == batch_done{2});
}

TEST_CASE("a result written in place that is too large is a failure, whatever the body makes of it",
          "[codec]") {
    bounded_test test;
    using outcome = std::variant<std::string, forkflow::failure>;
    const auto body = [](int size, forkflow::result_writer<std::string>& out) {
        try {
            out.resize(static_cast<std::size_t>(size));
        } catch (const forkflow::result_too_large&) {
            if (size % 2 == 0) {
                throw;
            }
            return;
        }
        std::fill_n(out.resize(static_cast<std::size_t>(size)).begin(), size, 'y');
    };
    const auto seen =
        outcomes_of<int, outcome>({1000, 100'000, 100'001, 3}, body, {.max_message_bytes = 4096});
    REQUIRE(seen.size() == 4);
    CHECK(std::get<0>(seen[0]) == std::string(1000, 'y'));
    for (const std::size_t i : {1U, 2U}) {
        const auto& failed = std::get<1>(seen[i]);
        CHECK(failed.kind == forkflow::failure_kind::too_large);
        CHECK(failed.limit_bytes == 4096);
        CHECK(failed.size_bytes > 100'000);
    }
    CHECK(std::get<0>(seen[3]) == "yyy");
}

TEST_CASE("results written in place wait in their workers until they are admitted", "[codec]") {
    bounded_test test;
    forkflow::pool_options options;
    options.window = 2;
    options.requests = 8;
    std::vector<std::string> messages;
    for (int i = 0; i != 100; ++i) {
        messages.push_back(std::to_string(i));
    }
    auto expected = messages;
    for (std::string& text : expected) {
        std::reverse(text.begin(), text.end());
    }
    CHECK(outcomes_of<std::string, std::string>(messages, reverse_into, options) == expected);
}

TEST_CASE("a parameter that is a value is moved into, not copied", "[codec]") {
    bounded_test test;
    const std::vector<std::vector<int>> messages{{1, 2}, {3}};
    const auto body = [](std::vector<int> given) { return given; };
    CHECK(outcomes_of<std::vector<int>, std::vector<int>>(messages, body) == messages);
    using pointer = std::shared_ptr<int>;
    const auto uses = [](pointer only) { return only.use_count(); };
    CHECK(outcomes_of<pointer, long>({std::make_shared<int>(1)}, uses) == std::vector<long>{1});
}

TEST_CASE("a node's types follow from a body that writes its result", "[codec]") {
    bounded_test test;
    tbb::flow::graph g;
    forkflow::ordered_process_node node(
        g, 1, [](const std::string& in, forkflow::result_writer<std::vector<short>>& out) {
            out.resize(in.size());
        });
    STATIC_REQUIRE(
        std::is_same_v<decltype(node), forkflow::ordered_process_node<std::string, std::vector<short>>>);
}

TEST_CASE("a codec that reads less than it wrote is found out", "[codec]") {
    bounded_test test;
    using forkflow::detail::whole_call;
    const auto body = [](int given) { return given; };
    alignas(16) std::array<std::byte, 64> area{};
    forkflow::reader five{std::span<std::byte>(area).first(5)};
    CHECK_THROWS_AS((whole_call<int, int, decltype(body)>::decode_result(five)), forkflow::not_decodable);
}

} // namespace body_in_place_test
