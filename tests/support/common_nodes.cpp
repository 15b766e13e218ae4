// SPDX-License-Identifier: MIT
#define FORKFLOW_TEST_COMMON
#include "support/common_nodes.hpp"
