// SPDX-License-Identifier: MIT
// What the programs that libFuzzer drives have in common. An exception that leaves a case is a finding.
#pragma once

#include "cases.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

namespace forkflow_fuzz {

/// `TARGET --seeds FOLDER` writes encodings of a few values for each case and ends; else libFuzzer goes on.
template <class Tier>
int maybe_write_seeds(int argc, char** argv) {
    if (argc != 3 || std::string_view(argv[1]) != "--seeds") {
        return 0;
    }
    for (std::size_t which = 0; which != Tier::size; ++which) {
        for (std::uint64_t number = 1; number <= 4; ++number) {
            random_source source(number);
            const bytes seed = Tier::seed(which, source);
            std::ofstream file(std::string(argv[2]) + "/" + std::to_string(which) + "_" +
                                   std::to_string(number),
                               std::ios::binary);
            file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
        }
    }
    std::exit(EXIT_SUCCESS);
}

template <class Tier>
int run_input(const std::uint8_t* data, std::size_t size) {
    Tier::run(std::as_bytes(std::span(data, size)));
    return 0;
}

} // namespace forkflow_fuzz
