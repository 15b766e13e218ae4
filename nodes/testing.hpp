// SPDX-License-Identifier: MIT
// What forkflow's own tests can set in a pool. Of no use to others.
#pragma once

#include <forkflow/nodes/sequence.hpp>
#include <forkflow/nodes/steps.hpp>
#include <forkflow/nodes/worker_host.hpp>

namespace forkflow::nodes {

struct test_settings {
    sequence first_sequence = 0; ///< the number of the first message
    step_hook hook{};    ///< called at each step of each worker; with pool_options::server a function pointer
    host_factory host{}; ///< makes the workers; empty: processes
    bool looks = true;   ///< false: nobody looks now and then, so a lost wake is not made good; no deadlines
};

} // namespace forkflow::nodes
