// SPDX-License-Identifier: MIT
// forkflow::failure, what became of a message that has no result, and forkflow::process_error, the same as an
// exception.
#pragma once

#include <forkflow/nodes/failure.hpp>
