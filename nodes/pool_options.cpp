// SPDX-License-Identifier: MIT
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/protocol.hpp>

#include <sched.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>

namespace forkflow {
namespace {

template <class Number>
void check(const char* field, Number value, std::type_identity_t<Number> least,
           std::type_identity_t<Number> most) {
    if (value < least || value > most) {
        throw std::invalid_argument("forkflow::pool_options::" + std::string(field) + " is " +
                                    std::to_string(value) + ", but must be " + std::to_string(least) +
                                    " to " + std::to_string(most));
    }
}

/// Shortens `value` to what may be added to a point in time.
void check(const char* field, std::chrono::nanoseconds& value) {
    if (value < std::chrono::nanoseconds::zero()) {
        throw std::invalid_argument("forkflow::pool_options::" + std::string(field) + " is " +
                                    std::to_string(value.count()) + " ns, but must be 0 or more");
    }
    value = std::min<std::chrono::nanoseconds>(value, std::chrono::hours(24 * 365 * 100));
}

void check(const worker_limits& limits) {
    constexpr std::chrono::seconds most_cpu_time = std::chrono::hours(24 * 365 * 100);
    check("limits.niceness", limits.niceness.value_or(0), -20, 19);
    check("limits.cpu_time (in seconds)", limits.cpu_time.value_or(std::chrono::seconds(1)).count(), 1,
          most_cpu_time.count());
    for (const int cpu : limits.cpus) {
        check("limits.cpus", cpu, 0, CPU_SETSIZE - 1);
    }
}

} // namespace

std::size_t nodes::usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return static_cast<std::size_t>(CPU_COUNT(&set));
    }
    const unsigned cpus = std::thread::hardware_concurrency(); // more CPUs than cpu_set_t can name
    return cpus == 0 ? 1 : cpus;
}

pool_options resolved(pool_options options) {
    constexpr std::size_t most_slots = std::size_t{1} << 20U;
    constexpr std::size_t most_bytes = std::size_t{1} << 46U;
    if (options.workers == 0) {
        options.workers = std::min(nodes::usable_cpus(), nodes::max_workers);
    }
    check("workers", options.workers, 1, nodes::max_workers);
    if (options.window == 0) {
        options.window = 10 * options.workers;
    }
    check("window", options.window, 1, most_slots);
    if (options.requests == 0) {
        options.requests = options.window;
    }
    check("requests", options.requests, 1, most_slots);
    check("max_message_bytes", options.max_message_bytes, 1, std::size_t{1} << 30U);
    check("window_bytes", options.window_bytes, 0, most_bytes);
    if (options.window_bytes != 0) {
        options.max_message_bytes = std::min(options.max_message_bytes, options.window_bytes);
    }
    if (options.buffer_bytes == 0) {
        options.buffer_bytes =
            std::min((options.requests + options.window) * options.max_message_bytes, most_bytes);
    }
    check("buffer_bytes", options.buffer_bytes, 1, most_bytes);
    check("attempts", options.attempts, 1, nodes::max_attempts);
    check("deadline", options.deadline);
    check("recycle_age", options.recycle_age);
    check("init_deadline", options.init_deadline);
    check("linger", options.linger);
    check("spin", options.spin);
    check("stderr_tail_bytes", options.stderr_tail_bytes, 0, nodes::most_stderr_tail_bytes);
    check(options.limits);
    if (options.recycles() && options.workers == nodes::max_workers) {
        throw std::invalid_argument("forkflow::pool_options::workers is " + std::to_string(options.workers) +
                                    ", but must be 1 to " + std::to_string(nodes::max_workers - 1) +
                                    " if workers are recycled");
    }
    for (const int descriptor : options.keep_descriptors) {
        if (descriptor < 0) {
            throw std::invalid_argument("forkflow::pool_options::keep_descriptors has " +
                                        std::to_string(descriptor) + ", but descriptors must be 0 or more");
        }
    }
    return options;
}

} // namespace forkflow
