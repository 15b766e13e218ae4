// SPDX-License-Identifier: MIT
// What processes have cost so far, from /proc: times woken, time of processors, page faults, memory.
#pragma once

#include "support/processes.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace forkflow_benchmark {

using forkflow_test::field_of;

struct process_costs {
    std::uint64_t sleeps = 0; ///< voluntary context switches: each ends with a wakeup
    std::chrono::nanoseconds running{0};
    std::uint64_t minor_faults = 0;

    process_costs& operator+=(const process_costs& other) {
        sleeps += other.sleeps;
        running += other.running;
        minor_faults += other.minor_faults;
        return *this;
    }
    friend process_costs operator-(const process_costs& late, const process_costs& early) {
        return {late.sleeps - early.sleeps, late.running - early.running,
                late.minor_faults - early.minor_faults};
    }
};

inline process_costs costs_of_thread(const std::filesystem::path& thread) {
    process_costs costs{.sleeps = field_of(thread / "status", "voluntary_ctxt_switches:")};
    std::chrono::nanoseconds::rep running = 0;
    std::ifstream(thread / "schedstat") >> running;
    costs.running = std::chrono::nanoseconds(running);
    std::ifstream stat(thread / "stat");
    std::string line;
    std::getline(stat, line);
    line.erase(0, line.rfind(')') + 1); // names may hold anything
    std::istringstream fields(line);
    std::string skipped; // state, parent, group, session, terminal, its group, flags
    for (int i = 0; i < 7; ++i) {
        fields >> skipped;
    }
    fields >> costs.minor_faults;
    return costs;
}

/// Of all threads of this process and of all its descendants, but the calling thread.
inline process_costs costs_of_others() {
    std::vector<std::string> processes{std::to_string(::getpid())};
    for (const forkflow_test::process& one : forkflow_test::descendants_of(::getpid())) {
        processes.push_back(std::to_string(one.pid));
    }
    process_costs all;
    for (const std::string& pid : processes) {
        for (const auto& thread : std::filesystem::directory_iterator("/proc/" + pid + "/task")) {
            if (thread.path().filename() != std::to_string(::gettid())) {
                all += costs_of_thread(thread.path());
            }
        }
    }
    return all;
}

/// With the calling thread.
inline process_costs costs_of_all() {
    process_costs all = costs_of_others();
    return all += costs_of_thread("/proc/self/task/" + std::to_string(::gettid()));
}

} // namespace forkflow_benchmark
