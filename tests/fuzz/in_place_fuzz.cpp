// SPDX-License-Identifier: MIT
// The in_place_tier under libFuzzer.
#include "in_place_tier.hpp"
#include "libfuzzer_target.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    return forkflow_fuzz::maybe_write_seeds<forkflow_fuzz::in_place_tier>(*argc, *argv);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return forkflow_fuzz::run_input<forkflow_fuzz::in_place_tier>(data, size);
}
