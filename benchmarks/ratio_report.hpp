// SPDX-License-Identifier: MIT
// A console reporter that remembers medians and prints their ratios to those of named peers.
#pragma once

#include <benchmark/benchmark.h>

#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace forkflow_benchmark {

/// Prints as Google benchmark's console reporter; keeps each benchmark's median (or its only run).
class ratio_report : public benchmark::ConsoleReporter {
public:
    ratio_report()
        : ConsoleReporter(OO_Tabular) {}

    void ReportRuns(const std::vector<Run>& runs) override {
        ConsoleReporter::ReportRuns(runs);
        for (const Run& run : runs) {
            const bool median = run.run_type == Run::RT_Aggregate && run.aggregate_name == "median";
            const bool only = run.run_type == Run::RT_Iteration && run.repetitions <= 1;
            if ((median || only) && !run.error_occurred) {
                medians_[plain(run.run_name.str())] = run.GetAdjustedRealTime();
            }
        }
    }

    /// A table of every benchmark whose name contains `group`, as multiples of each peer's time: below 1 is
    /// cheaper.
    void print_ratios(const std::vector<std::string>& peers, const std::string& group) const {
        std::ostream& out = GetOutputStream();
        out << "\nTime per message as a multiple of the peer's in the same run (medians), " << group << ":\n";
        for (const auto& [name, time] : medians_) {
            if (name.find(group) == std::string::npos) {
                continue;
            }
            out << "  " << std::left << std::setw(56) << name;
            for (const std::string& peer : peers) {
                if (const auto found = medians_.find(peer); found != medians_.end()) {
                    out << "  " << std::fixed << std::setprecision(2) << time / found->second << " x "
                        << peer;
                }
            }
            out << '\n';
        }
    }

private:
    /// The name without what Google benchmark adds about time and repeats.
    static std::string plain(const std::string& name) {
        for (const char* const suffix : {"/manual_time", "/repeats:"}) {
            if (const auto at = name.find(suffix); at != std::string::npos) {
                return name.substr(0, at);
            }
        }
        return name;
    }

    std::map<std::string, double> medians_;
};

} // namespace forkflow_benchmark
