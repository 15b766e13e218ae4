// SPDX-License-Identifier: MIT
// Python's pools of processes, if there is a python3: see python_pools.py.
#pragma once

#include "instruments/rows.hpp"
#include "instruments/timing.hpp"
#include "instruments/ways.hpp"

#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>

namespace forkflow_benchmark {

/// `kind`: imap (multiprocessing.Pool, chunksize 1) or executor (ProcessPoolExecutor.map). Throws not_here.
inline seconds through_python(const std::string& kind, const load& all, std::size_t size_bytes,
                              double body_us) {
    const std::string command = "python3 '" FORKFLOW_BENCHMARKS_DIR "/peers/python_pools.py' " + kind + ' ' +
                                std::to_string(all.workers) + ' ' + std::to_string(all.messages) + ' ' +
                                std::to_string(size_bytes) + ' ' + std::to_string(body_us);
    const auto close = [](std::FILE* file) { ::pclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> printed(::popen(command.c_str(), "r"), close);
    double taken = 0;
    if (!printed || std::fscanf(printed.get(), "%lf", &taken) != 1) {
        throw not_here("python3 could not be run");
    }
    return seconds(taken);
}

} // namespace forkflow_benchmark
