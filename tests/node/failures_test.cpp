// SPDX-License-Identifier: MIT
// What becomes of a message that has no result: one failure, in its place, which says what happened and
// where.
#include "support/catch.hpp"
#include "support/fates.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <csignal>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <unistd.h>

namespace failures_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using namespace forkflow_test;

namespace {

using outcome = std::variant<result, failure>;

constexpr std::uint32_t first_sequence = std::uint32_t{0} - 3;

/// Sends a message with this fate among ten good ones, checks that these come out in their places, and gives
/// the failure.
failure failure_of(fate what, forkflow::pool_options options) {
    constexpr std::uint32_t place = 5;
    options.workers = 2;
    options.testing.first_sequence = first_sequence;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<order, outcome> node(graph, options, meet);
    const recorder<outcome> results(graph, node);
    for (std::uint32_t number = 0; number < 11; ++number) {
        node.try_put({.what = number == place ? what : fate::well, .number = number});
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 11);
    for (std::uint32_t number = 0; number < 11; ++number) {
        REQUIRE(std::holds_alternative<result>(all[number]) == (number != place));
        if (number != place) {
            REQUIRE(std::get<result>(all[number]) == number);
        }
    }
    CHECK(node.statistics().failures == 1);
    CHECK(node.statistics().results == 10);
    const failure found = std::get<failure>(all[place]);
    CHECK(found.sequence == first_sequence + place);
    INFO(found);
    CHECK(found.pid > 0);
    CHECK(found.pid != ::getpid());
    return found;
}

void check_crash(const failure& found, unsigned attempts, int signal, int status) {
    CHECK(found.kind == failure_kind::crashed);
    CHECK(found.attempts == attempts);
    CHECK(found.signal == signal);
    CHECK(found.status == status);
    CHECK(found.peak_memory_kib > 0);
    CHECK(found.exception_type.empty());
    CHECK_FALSE(found.what.empty());
}

void check_threw(const failure& found, const std::string& type, const std::string& what) {
    CHECK(found.kind == failure_kind::threw);
    CHECK(found.attempts == 1);
    CHECK(found.signal == 0);
    CHECK(found.status == 0);
    CHECK(found.exception_type == type);
    CHECK(found.what == what);
}

} // namespace

TEST_CASE("A body that calls abort is one failure in place with SIGABRT and its stack") {
    const bounded_test bounds;
    const failure found = failure_of(fate::aborts, {});
    check_crash(found, 2, SIGABRT, 0);
    check_names(found, "forkflow_test_aborts");
}

TEST_CASE("A body that dereferences null is one failure in place with SIGSEGV and its stack") {
    const bounded_test bounds;
    const failure found = failure_of(fate::dereferences_null, {});
    check_crash(found, 2, SIGSEGV, 0);
    check_names(found, "forkflow_test_dereferences_null");
}

TEST_CASE("A body that calls _exit is one failure in place with its status") {
    const bounded_test bounds;
    check_crash(failure_of(fate::leaves_at_once, {}), 2, 0, 3);
}

TEST_CASE("A body that calls exit is one failure in place with its status") {
    const bounded_test bounds;
    check_crash(failure_of(fate::exits, {}), 2, 0, 4);
}

TEST_CASE("A worker that is killed is one failure in place with SIGKILL") {
    const bounded_test bounds;
    check_crash(failure_of(fate::is_killed, {}), 2, SIGKILL, 0);
}

TEST_CASE("With one attempt, a message that kills its worker is given to no other") {
    const bounded_test bounds;
    check_crash(failure_of(fate::aborts, {.attempts = 1}), 1, SIGABRT, 0);
    check_crash(failure_of(fate::dereferences_null, {.attempts = 1}), 1, SIGSEGV, 0);
    check_crash(failure_of(fate::leaves_at_once, {.attempts = 1}), 1, 0, 3);
    check_crash(failure_of(fate::exits, {.attempts = 1}), 1, 0, 4);
}

TEST_CASE("With five attempts, a message that kills its workers is given to five") {
    const bounded_test bounds;
    check_crash(failure_of(fate::aborts, {.attempts = 5}), 5, SIGABRT, 0);
}

TEST_CASE("A body that throws a runtime_error is one failure in place with type, text and stack") {
    const bounded_test bounds;
    const failure found = failure_of(fate::throws_runtime_error, {});
    check_threw(found, "std::runtime_error", "no such page");
    check_names(found, "forkflow_test_throws_runtime_error");
    const std::string line = forkflow::describe(found);
    CHECK(line.find("std::runtime_error: no such page") != std::string::npos);
}

TEST_CASE("A body that throws an int is one failure in place with type and stack") {
    const bounded_test bounds;
    const failure found = failure_of(fate::throws_int, {});
    check_threw(found, "int", "");
    check_names(found, "forkflow_test_throws_int");
}

TEST_CASE("A body that throws bad_alloc is one failure in place with type, text and stack") {
    const bounded_test bounds;
    const failure found = failure_of(fate::throws_bad_alloc, {});
    check_threw(found, "std::bad_alloc", std::bad_alloc().what());
    check_names(found, "forkflow_test_throws_bad_alloc");
}

TEST_CASE("Of a hundred thousand messages every thousandth kills its worker, and all come out in order") {
    const bounded_test bounds;
    const auto total = static_cast<std::uint32_t>(forkflow_test::scaled_down(100'000));
    const auto deadly = [](std::uint32_t number) { return number % 1000 == 500; };
    tbb::flow::graph graph;
    forkflow::ordered_process_node<order, outcome, tbb::flow::rejecting> node(
        graph, forkflow::pool_options{.workers = 3, .window = 64}, meet);
    const recorder<outcome> results(graph, node);
    for (std::uint32_t number = 0; number < total; ++number) {
        REQUIRE(node.put({.what = deadly(number) ? fate::is_killed : fate::well, .number = number}, 60s));
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == total);
    std::uint32_t wrong = 0;
    for (std::uint32_t number = 0; number < total; ++number) {
        if (deadly(number)) {
            const failure* const found = std::get_if<failure>(&all[number]);
            wrong += found != nullptr && found->sequence == number && found->signal == SIGKILL &&
                             found->attempts == 2
                         ? 0U
                         : 1U;
        } else {
            const result* const found = std::get_if<result>(&all[number]);
            wrong += found != nullptr && *found == number ? 0U : 1U;
        }
    }
    CHECK(wrong == 0);
    CHECK(node.statistics().deaths == 2 * (total / 1000));
    CHECK(node.statistics().retries == total / 1000);
    CHECK(node.statistics().failures == total / 1000);
}

// ---------------------------------------------------------------------------------------------------------
// Size and codecs

TEST_CASE("A message or result that is too large is a failure in place with its size and the limit") {
    const bounded_test bounds;
    constexpr std::size_t limit = 1000;
    constexpr std::size_t length_bytes = sizeof(std::uint64_t); // what a string's codec writes in front
    using text = std::variant<std::string, failure>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::string, text> node(
        graph, forkflow::pool_options{.workers = 2, .max_message_bytes = limit},
        [](const std::string& message) {
            return message == "long"   ? std::string(7000, 'r')
                   : message == "fits" ? std::string(limit - length_bytes, 'f')
                                       : message.substr(0, 3);
        });
    const recorder<text> results(graph, node);
    node.try_put("one");
    node.try_put(std::string(5000, 'm'));
    node.try_put(std::string(limit - length_bytes, 'n')); // the largest that fits
    node.try_put(std::string(limit - length_bytes + 1, 'o'));
    node.try_put("long");
    node.try_put("fits");
    node.try_put("two");
    graph.wait_for_all();
    const std::vector<text> all = results.values();
    REQUIRE(all.size() == 7);
    CHECK(std::get<std::string>(all[0]) == "one");
    const auto check_too_large = [&](std::size_t place, std::size_t size) {
        const failure& found = std::get<failure>(all[place]);
        INFO(found);
        CHECK(found.kind == failure_kind::too_large);
        CHECK(found.sequence == place);
        CHECK(found.size_bytes == size + length_bytes);
        CHECK(found.limit_bytes == limit);
    };
    check_too_large(1, 5000);
    CHECK(std::get<std::string>(all[2]) == "nnn");
    check_too_large(3, limit - length_bytes + 1);
    check_too_large(4, 7000);
    CHECK(std::get<std::string>(all[5]) == std::string(limit - length_bytes, 'f'));
    CHECK(std::get<std::string>(all[6]) == "two");
}

namespace {

enum class trouble : std::uint8_t { none, encoding, decoding };

/// A message or result whose codec throws as it says.
struct troubled {
    trouble of_request = trouble::none;
    trouble of_result = trouble::none;
};
struct troubled_request : troubled {};
struct troubled_result : troubled {};

} // namespace

} // namespace failures_test

template <>
struct forkflow::codec<failures_test::troubled_request> {
    static void encode(const failures_test::troubled_request& value, writer& to) {
        if (value.of_request == failures_test::trouble::encoding) {
            throw std::runtime_error("this request cannot be written");
        }
        to.write_value(static_cast<const failures_test::troubled&>(value));
    }
    static failures_test::troubled_request decode(reader& from) {
        const auto value = from.read_value<failures_test::troubled>();
        if (value.of_request == failures_test::trouble::decoding) {
            throw std::runtime_error("this request cannot be read");
        }
        return {value};
    }
};

template <>
struct forkflow::codec<failures_test::troubled_result> {
    static void encode(const failures_test::troubled_result& value, writer& to) {
        if (value.of_result == failures_test::trouble::encoding) {
            throw std::runtime_error("this result cannot be written");
        }
        to.write_value(static_cast<const failures_test::troubled&>(value));
    }
    static failures_test::troubled_result decode(reader& from) {
        const auto value = from.read_value<failures_test::troubled>();
        if (value.of_result == failures_test::trouble::decoding) {
            throw std::runtime_error("this result cannot be read");
        }
        return {value};
    }
};

namespace failures_test {

TEST_CASE("A codec that throws, in parent or worker, makes its message a failure in place") {
    const bounded_test bounds;
    using answer = std::variant<troubled_result, failure>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<troubled_request, answer> node(
        graph, 2, [](const troubled_request& request) { return troubled_result{request}; });
    const recorder<answer> results(graph, node);
    struct expectation {
        troubled what;
        failure_kind kind;
        std::string text;
        bool in_worker;
    };
    const expectation expected[] = {
        {{trouble::encoding, trouble::none},
         failure_kind::not_encodable,
         "this request cannot be written",
         false},
        {{trouble::decoding, trouble::none},
         failure_kind::not_decodable,
         "this request cannot be read",
         true},
        {{trouble::none, trouble::encoding},
         failure_kind::not_encodable,
         "this result cannot be written",
         true},
        {{trouble::none, trouble::decoding},
         failure_kind::not_decodable,
         "this result cannot be read",
         false},
    };
    for (const expectation& each : expected) {
        node.try_put({{}});
        node.try_put({each.what});
    }
    node.try_put({{}});
    graph.wait_for_all();
    const std::vector<answer> all = results.values();
    REQUIRE(all.size() == 9);
    for (std::uint32_t i = 0; i < 9; ++i) {
        CAPTURE(i);
        if (i % 2 == 0) {
            CHECK(std::holds_alternative<troubled_result>(all[i]));
            continue;
        }
        const expectation& each = expected[i / 2];
        const failure& found = std::get<failure>(all[i]);
        INFO(found);
        CHECK(found.kind == each.kind);
        CHECK(found.sequence == i);
        CHECK(found.exception_type == "std::runtime_error");
        CHECK(found.what == each.text);
        CHECK((found.pid != 0) == each.in_worker);
    }
    CHECK(node.statistics().deaths == 0);
}

} // namespace failures_test
