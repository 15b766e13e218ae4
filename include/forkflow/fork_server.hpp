// SPDX-License-Identifier: MIT
// A process that is forked early, for nodes that are made beside threads.
#pragma once

#include <forkflow/nodes/launcher.hpp> // IWYU pragma: export
