// SPDX-License-Identifier: MIT
// The largest messages that there may be: read and written in place, one byte too large, and what is left of
// them.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/pool_file.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace gibibyte_test {

using namespace std::chrono_literals;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow_test::bounded_test;
using forkflow_test::bytes_of_pool;

namespace {

using bytes = std::vector<unsigned char>;
using outcome = std::variant<bytes, failure>;

constexpr std::size_t gibibyte = std::size_t{1} << 30U;
constexpr std::size_t most_in_message = gibibyte - 8; ///< encoded, their number stands before them

std::size_t available_bytes() {
    std::ifstream file("/proc/meminfo");
    std::string word;
    std::size_t kib = 0;
    while (file >> word && word != "MemAvailable:") {
    }
    file >> kib;
    return kib * 1024;
}

/// What stands in the byte at `place`, in each page another one.
constexpr unsigned char mark(std::size_t place, unsigned char salt) {
    return static_cast<unsigned char>(place / 4096 % 251 + salt);
}

void fill(std::span<unsigned char> filled, unsigned char salt) {
    for (std::size_t begin = 0; begin < filled.size(); begin += 4096) {
        const auto page = filled.subspan(begin, std::min<std::size_t>(4096, filled.size() - begin));
        std::fill(page.begin(), page.end(), mark(begin, salt));
    }
}

/// Looks at one byte in each page, and at the last one.
bool is_filled(std::span<const unsigned char> looked_at, unsigned char salt) {
    for (std::size_t i = 0; i < looked_at.size(); i += 4096) {
        if (looked_at[i] != mark(i, salt)) {
            return false;
        }
    }
    return !looked_at.empty() && looked_at.back() == mark(looked_at.size() - 1, salt);
}

constexpr unsigned char of_request = 1;
constexpr unsigned char of_result = 3;

void answer(std::span<const unsigned char> message, forkflow::result_writer<bytes>& out) {
    if (is_filled(message, of_request)) { // else the result is empty
        fill(out.resize(most_in_message + (message.size() == most_in_message ? 0 : 1)), of_result);
    }
}

void check_too_large(const outcome& checked, std::size_t size) {
    REQUIRE(std::holds_alternative<failure>(checked));
    CHECK(std::get<failure>(checked).kind == failure_kind::too_large);
    CHECK(std::get<failure>(checked).size_bytes == size);
    CHECK(std::get<failure>(checked).limit_bytes == gibibyte);
}

} // namespace

TEST_CASE(
    "A request and a result of a GiB pass in place, one byte more is too large, and the memory goes back") {
    if (forkflow_test::sanitized || available_bytes() < 6 * gibibyte) {
        WARN("not tested: it takes 4 GiB of memory, and no sanitizer");
        return;
    }
    const bounded_test bounds;
    forkflow::ordered_process_queue<bytes, outcome> queue(
        forkflow::pool_options{.workers = 1, .window = 1, .max_message_bytes = gibibyte}, answer);
    const std::size_t before = bytes_of_pool();
    REQUIRE(before > 0);
    {
        bytes message(most_in_message + 1);
        fill(message, of_request);
        message.pop_back();
        REQUIRE(queue.put(message));
        message.push_back(0);
        REQUIRE(queue.put(message)); // too large
    }
    {
        const outcome result = *queue.get();
        REQUIRE(std::holds_alternative<bytes>(result));
        CHECK(std::get<bytes>(result).size() == most_in_message);
        CHECK(is_filled(std::get<bytes>(result), of_result));
        CHECK(bytes_of_pool() >= before + 2 * (gibibyte - 4096)); // they may be needed again
    }
    check_too_large(*queue.get(), gibibyte + 1);
    bytes small(4096);
    fill(small, of_request);
    REQUIRE(queue.put(small)); // asks for too large a result
    check_too_large(*queue.get(), gibibyte + 1);
    CHECK(forkflow_test::comes_true_within(20s, [&] { return bytes_of_pool() == before; }));
    CHECK(queue.statistics().deaths == 0);
}

} // namespace gibibyte_test
