// SPDX-License-Identifier: MIT
// forkflow::pool_options, how a pool of workers is made.
#pragma once

#include <forkflow/nodes/pool_options.hpp>
