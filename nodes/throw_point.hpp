// SPDX-License-Identifier: MIT
// The stack of an exception at the point where it was thrown, seen from the point where it is caught.
#pragma once

#include <forkflow/nodes/protocol.hpp>

#include <cstddef>
#include <span>

namespace forkflow::nodes {

/// A type that no exception has. `catch (const throw_point&)`, written *before* the other handlers of a try
/// block, catches nothing, but makes the C++ runtime ask its type_info during the search for a handler, when
/// the stack of the throw is still whole: that is when the stack is noted. Exceptions handled further inside
/// never get that far and cost nothing. (The idea is that of cpptrace's from_current; here the type_info is
/// our own object, so nothing is patched.) With another runtime than libstdc++ nothing is noted.
class throw_point {
public:
    virtual ~throw_point();
};

/// The stack noted last on this thread, innermost first; empty if none was noted since `forget_throw_point`.
[[nodiscard]] std::span<void* const> noted_throw_point() noexcept;
void forget_throw_point() noexcept;

} // namespace forkflow::nodes
