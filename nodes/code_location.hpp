// SPDX-License-Identifier: MIT
// Where a function lies, in terms that other processes forked from this program understand.
#pragma once

#include <cstdint>

namespace forkflow::nodes {

/// A place in the code of the program or of a library. Other than an address it says which one, so that a
/// process which has not loaded that library notices.
struct code_location {
    std::uint64_t module = 0;       ///< a fingerprint: name, segments, build id
    std::uint64_t offset_bytes = 0; ///< from the module's load address
};

/// The place of the code at `address` in this process. Throws std::invalid_argument if it is in no module
/// that is loaded. Thread-safe. Cost: a look at each module.
[[nodiscard]] code_location locate(std::uintptr_t address);

/// The address of this place in this process. Throws not_decodable if the module is not loaded here, or has
/// no code there. Thread-safe. Cost: a look at each module.
[[nodiscard]] std::uintptr_t address_of(code_location place);

/// Whether `address` lies in the program or in a library that is loaded, be it code or data. Thread-safe.
/// Cost: a look at each module.
[[nodiscard]] bool in_module(std::uintptr_t address);

} // namespace forkflow::nodes
