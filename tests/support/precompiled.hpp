// SPDX-License-Identifier: MIT
// What g++ reads once for all tests instead of once for each, which halves the time to compile them. No test
// counts on it: with the address sanitizer each is compiled without it.
#pragma once

#include "support/catch.hpp"
#include "support/common_nodes.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>
