// SPDX-License-Identifier: MIT
// How run times may spread. All have a mean of 1 and are the same in every run.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace forkflow_benchmark {

/// 1 in `one_in` takes `times` as long as the others.
struct mixture {
    double one_in = 50;
    double times = 100;
    [[nodiscard]] double mean() const { return (one_in - 1 + times) / one_in; }
};

inline const std::vector<std::string>& spreads() {
    static const std::vector<std::string> names{"constant", "exponential", "lognormal_1", "lognormal_2",
                                                "one_in_50_times_100"};
    return names;
}

/// `spread` is one of spreads(); lognormal_2 has a sigma of 2.
inline std::vector<double> run_times(const std::string& spread, std::size_t count) {
    std::mt19937_64 random(count); // NOLINT(cert-msc51-cpp): the same in every run
    const auto filled = [&](auto draw) {
        std::vector<double> times(count);
        for (double& time : times) {
            time = draw();
        }
        return times;
    };
    const auto lognormal = [&](double sigma) {
        std::lognormal_distribution<double> of(-sigma * sigma / 2, sigma);
        return filled([&] { return of(random); });
    };
    if (spread == "constant") {
        return filled([] { return 1.0; });
    }
    if (spread == "exponential") {
        std::exponential_distribution<double> of(1.0);
        return filled([&] { return of(random); });
    }
    if (spread == "lognormal_1") {
        return lognormal(1);
    }
    if (spread == "lognormal_2") {
        return lognormal(2);
    }
    if (spread == "one_in_50_times_100") {
        const mixture mixed;
        std::bernoulli_distribution is_long(1 / mixed.one_in);
        return filled([&] { return (is_long(random) ? mixed.times : 1.0) / mixed.mean(); });
    }
    throw std::invalid_argument("no such spread: " + spread);
}

} // namespace forkflow_benchmark
