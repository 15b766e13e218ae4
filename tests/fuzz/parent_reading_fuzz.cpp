// SPDX-License-Identifier: MIT
// The parent's reading side under libFuzzer.
#include "parent_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    forkflow_fuzz::scripted_pool({data, size}).run();
    return 0;
}
