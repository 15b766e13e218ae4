// SPDX-License-Identifier: MIT
// The fuzzer of the parent's reading side in an ordinary test: over random scripts.
#include "parent_reading.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/sanitized.hpp"

#include <random>

TEST_CASE("Whatever workers write and whoever dies, each message leaves once and in order") {
    const forkflow_test::bounded_test bounds;
    for (unsigned seed = 0; seed < forkflow_test::scaled_down(10000); ++seed) {
        std::mt19937 random(seed);
        std::vector<std::uint8_t> bytes(random() % 2000);
        std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
        CAPTURE(seed);
        forkflow_fuzz::scripted_pool(bytes).run(); // aborts if not
    }
    SUCCEED();
}
