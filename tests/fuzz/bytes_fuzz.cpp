// SPDX-License-Identifier: MIT
// The bytes_tier under libFuzzer.
#include "bytes_tier.hpp"
#include "libfuzzer_target.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    return forkflow_fuzz::maybe_write_seeds<forkflow_fuzz::bytes_tier>(*argc, *argv);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return forkflow_fuzz::run_input<forkflow_fuzz::bytes_tier>(data, size);
}
