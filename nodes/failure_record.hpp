// SPDX-License-Identifier: MIT
// A failure as bytes: how a worker hands in that the body threw.
#pragma once

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/failure.hpp>

namespace forkflow::nodes {

/// Writes what a worker knows of a failure. Long texts are cut so that a record has less than 64 KiB.
void write_failure(byte_writer& to, const failure& outcome);

/// Reads such a record; throws not_decodable if it is none.
[[nodiscard]] failure read_failure(byte_reader& from);

} // namespace forkflow::nodes
