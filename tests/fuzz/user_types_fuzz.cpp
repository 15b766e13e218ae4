// SPDX-License-Identifier: MIT
// The user_types_tier under libFuzzer.
#include "libfuzzer_target.hpp"
#include "user_types_tier.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    return forkflow_fuzz::maybe_write_seeds<forkflow_fuzz::user_types_tier>(*argc, *argv);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return forkflow_fuzz::run_input<forkflow_fuzz::user_types_tier>(data, size);
}
