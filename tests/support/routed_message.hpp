// SPDX-License-Identifier: MIT
// The messages of a random graph: each says where it comes from and which way it took.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace forkflow_test {

/// Its source, its number there, and the stages it went through.
struct routed_message {
    static constexpr std::size_t most_stages = 4;

    std::uint16_t source = 0;
    std::uint16_t number = 0;
    std::uint8_t hops = 0;
    bool hangs = false; ///< in the first stage, until its worker is killed
    std::array<std::uint8_t, most_stages> stages{};

    bool operator==(const routed_message&) const = default;
    [[nodiscard]] routed_message without_last_hop() const {
        routed_message before = *this;
        --before.hops;
        before.stages[before.hops] = 0;
        return before;
    }
};
using routed_messages = std::vector<routed_message>;

inline std::string text_of(const routed_message& one) {
    std::string text = std::to_string(one.source) + "/" + std::to_string(one.number) + " by";
    for (std::size_t i = 0; i < one.hops; ++i) {
        text += " " + std::to_string(one.stages[i]);
    }
    return text;
}

/// Where the two part, as a line; nothing if they are the same.
inline std::string difference(const std::string& where, const routed_messages& expected,
                              const routed_messages& got) {
    if (expected == got) {
        return "";
    }
    const auto [e, g] = std::mismatch(expected.begin(), expected.end(), got.begin(), got.end());
    return where + ": " + std::to_string(got.size()) + " messages for " + std::to_string(expected.size()) +
           "; at " + std::to_string(e - expected.begin()) + " there is " +
           (g == got.end() ? "none" : text_of(*g)) + " for " + (e == expected.end() ? "none" : text_of(*e)) +
           "\n";
}

} // namespace forkflow_test
