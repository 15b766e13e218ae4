// SPDX-License-Identifier: MIT
// forkflow::statistics, a snapshot of what a node or queue has done and holds.
#pragma once

#include <forkflow/nodes/statistics.hpp>
