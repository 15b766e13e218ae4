// SPDX-License-Identifier: MIT
// A worker's life, from its first instruction to its last.
#pragma once

#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>
#include <forkflow/nodes/worker_body.hpp>

namespace forkflow::nodes {

/// Initialises and runs a worker; returns its exit status. What surrounds it (thread or process) is the
/// host's business.
int live_as_worker(const rings& shared, const pool_options& options, const worker_body& body,
                   const worker_identity& self);

/// The same in a process that is the worker's own: with limits, last words, and a mapping of which it may
/// write the open part only.
int live_as_worker_process(const rings& shared, const pool_options& options, const worker_body& body,
                           const worker_identity& self);

} // namespace forkflow::nodes
