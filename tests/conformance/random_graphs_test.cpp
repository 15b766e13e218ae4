// SPDX-License-Identifier: MIT
// Random graphs of several ordered nodes, each checked against what a sequential program would say: over each
// edge every message once and in order, bounds held, and wait_for_all returns.
//
// FORKFLOW_RANDOM_GRAPHS=n runs n graphs instead of 40, and more if they fit in a few seconds;
// FORKFLOW_RANDOM_SEED=s begins with the graph of that seed (alone, if no number is given). Each seed is
// printed before its graph, and at the end how many there were.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/random_graph.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <string>

namespace random_graphs_test {

namespace {

std::optional<std::uint64_t> number_in(const char* variable) {
    const char* const text = std::getenv(variable); // NOLINT(concurrency-mt-unsafe): no other thread yet
    return text == nullptr ? std::nullopt : std::optional<std::uint64_t>(std::stoull(text));
}

} // namespace

TEST_CASE("Random graphs pass every message over every edge once and in order, and come to rest") {
    const auto first = number_in("FORKFLOW_RANDOM_SEED");
    const auto wanted = number_in("FORKFLOW_RANDOM_GRAPHS");
    const forkflow_test::bounded_test bounds(std::chrono::seconds(600 + 5 * wanted.value_or(0)));
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(6);
    const std::uint64_t limit = wanted.value_or(first ? 1 : ~std::uint64_t{0});
    std::uint64_t seed = first.value_or(std::random_device()());
    constexpr std::uint64_t least = 40; // however slow the machine is
    std::uint64_t done = 0;
    for (; done < limit; ++done, ++seed) {
        if (!wanted && !first && done >= least && std::chrono::steady_clock::now() >= end) {
            break;
        }
        std::cout << "graph " << seed << std::endl; // flushed: it may hang
        INFO("FORKFLOW_RANDOM_SEED=" << seed);
        forkflow_test::random_graph graph(seed);
        const std::string wrong = graph.run();
        CHECK(wrong == "");
    }
    std::cout << done << " graphs" << std::endl;
    CHECK(done >= (wanted || first ? limit : least));
}

} // namespace random_graphs_test
