// SPDX-License-Identifier: MIT
#include <forkflow/nodes/retirement.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>

namespace forkflow::nodes {
namespace {

constexpr std::int64_t look_interval_ns = 10'000'000;

/// Some milliseconds behind at the worst, and much cheaper than the exact clock.
std::int64_t coarse_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

} // namespace

retirement::retirement(const pool_options& options)
    : options_(options)
    , began_ns_(coarse_ns())
    , looked_ns_(began_ns_) {
    if (options_.recycle_growth_bytes > 0) {
        statm_ =
            descriptor(checked("open of /proc/self/statm", ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)));
        baseline_bytes_ = private_bytes().value_or(0);
    }
}

bool retirement::due() {
    if (++handled_ == options_.recycle_after) {
        return true;
    }
    if (options_.recycle_age.count() == 0 && !statm_) {
        return false;
    }
    const std::int64_t now = coarse_ns();
    return (options_.recycle_age.count() > 0 && now - began_ns_ >= options_.recycle_age.count()) ||
           (statm_ && has_grown(now));
}

bool retirement::has_grown(std::int64_t now_ns) {
    if (now_ns - looked_ns_ < look_interval_ns) {
        return false;
    }
    looked_ns_ = now_ns;
    const std::optional<std::size_t> now = private_bytes();
    return now && *now >= baseline_bytes_ + options_.recycle_growth_bytes;
}

std::optional<std::size_t> retirement::private_bytes() const {
    std::array<char, 128> text{};
    const ssize_t got = uninterrupted([&] { return ::pread(statm_.get(), text.data(), text.size() - 1, 0); });
    if (got <= 0) {
        return std::nullopt;
    }
    char* next = nullptr; // pages: total, resident, of these shared
    std::strtoull(text.data(), &next, 10);
    const unsigned long long resident = std::strtoull(next, &next, 10);
    const unsigned long long shared = std::strtoull(next, &next, 10);
    return resident < shared ? 0 : (resident - shared) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace forkflow::nodes
