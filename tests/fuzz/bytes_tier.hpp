// SPDX-License-Identifier: MIT
// Values that are their bytes, blocks of them, and what is told apart from them: truth values and bits.
#pragma once

#include "cases.hpp"

#include <bitset>
#include <complex>
#include <string>
#include <vector>

namespace forkflow_fuzz {

using bytes_tier =
    tier<round_trip<bool>, round_trip<std::uint64_t>, round_trip<long double>, round_trip<std::string>,
         round_trip<std::u32string>, round_trip<std::vector<char>>, round_trip<std::vector<double>>,
         round_trip<std::vector<std::complex<float>>>, round_trip<std::vector<std::chrono::nanoseconds>>,
         round_trip<std::vector<bool>>, round_trip<std::bitset<77>>, round_trip<std::array<short, 9>>>;

} // namespace forkflow_fuzz
