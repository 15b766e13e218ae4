// SPDX-License-Identifier: MIT
// A filter on system calls, for workers that shall compute and do nothing else.
#pragma once

/// From now on this process may call what computing needs. Any other system call sends it SIGSYS, of which it
/// dies, with a stack trace of who called. Throws std::system_error.
void allow_computing_only();
