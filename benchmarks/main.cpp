// SPDX-License-Identifier: MIT
// The main function of every benchmark: names the machine and the versions, then measures.
#include "instruments/effort.hpp"
#include "instruments/rows.hpp"

#include <benchmark/benchmark.h>
#include <boost/version.hpp>
#include <oneapi/tbb/version.h>

#include <fstream>
#include <string>

#include <sys/utsname.h>

namespace {

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown";
}

std::string compiler() {
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
}

std::string kernel() {
    utsname system{};
    ::uname(&system);
    return std::string(system.sysname) + " " + system.release;
}

void name_machine_and_versions() {
    benchmark::AddCustomContext("processor", processor());
    benchmark::AddCustomContext("kernel", kernel());
    benchmark::AddCustomContext("compiler", compiler());
    benchmark::AddCustomContext("oneTBB", TBB_runtime_version());
    benchmark::AddCustomContext("Boost", BOOST_LIB_VERSION);
#ifdef NDEBUG
    benchmark::AddCustomContext("assertions", "off");
#else
    benchmark::AddCustomContext("assertions", "on");
#endif
    const char* const efforts[] = {"smoke", "quick", "full"};
    benchmark::AddCustomContext("effort", efforts[static_cast<int>(forkflow_benchmark::chosen_effort())]);
}

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    name_machine_and_versions();
    forkflow_benchmark::register_benchmarks();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
