// SPDX-License-Identifier: MIT
// Code that fork_server_test loads while it runs.
#include <cstdint>

extern "C" std::uint32_t late_body(std::uint32_t message) {
    return message;
}

extern "C" void late_init() {}
