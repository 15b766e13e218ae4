// SPDX-License-Identifier: MIT
// A marker that cannot always be moved.
#pragma once

#include <forkflow/failure.hpp>

#include <atomic>
#include <cstdint>
#include <stdexcept>

namespace forkflow_test {

/// Its next move throws if that is said.
struct brittle_marker {
    static inline std::atomic<bool> next_move_throws{false};

    brittle_marker() = default;
    brittle_marker(const brittle_marker&) = default;
    brittle_marker(brittle_marker&& /*other*/) { // NOLINT(performance-noexcept-move-constructor)
        if (next_move_throws.exchange(false)) {
            throw std::runtime_error("too brittle");
        }
    }
    brittle_marker& operator=(const brittle_marker&) = default;
    ~brittle_marker() = default;
};

/// Whether `found` says that such a marker, with this number, threw.
inline bool is_of_brittle_marker(const forkflow::failure& found, std::uint32_t sequence) {
    return found.kind == forkflow::failure_kind::not_decodable && found.sequence == sequence &&
           found.exception_type == "std::runtime_error" && found.what == "too brittle";
}

} // namespace forkflow_test
