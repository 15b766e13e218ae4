// SPDX-License-Identifier: MIT
// A pool that is to be served by a process which was forked before the pool existed: all that this process
// needs to know, as bytes.
#pragma once

#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <array>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace forkflow::nodes {

/// A body that means the same in every process that was forked from this program: code at the same address,
/// and a state that is a row of bytes.
struct portable_body {
    void (*run)(void* state, worker_call& call) = nullptr;
    std::vector<std::byte> state{}; ///< aligned as operator new aligns
    void (*function)() = nullptr;   ///< what the state points to, if the user's body is a plain function
};

/// One packet; the descriptors (the two ends, the mapping, those that are kept) travel with it.
struct portable_pool {
    static constexpr std::size_t most_kept = 64;
    static constexpr std::size_t most_cpus = 256;
    static constexpr std::size_t most_state_bytes = std::size_t{16} << 10U;

    std::size_t workers, window, requests, max_message_bytes, window_bytes, buffer_bytes;
    std::int64_t deadline_ns, recycle_age_ns, spin_ns;
    unsigned attempts;
    std::size_t recycle_after, recycle_growth_bytes, stderr_tail_bytes;
    std::optional<std::size_t> memory_bytes, open_files;
    std::optional<std::chrono::seconds> cpu_time;
    std::optional<int> niceness;
    std::size_t core_bytes;
    bool no_new_privs;
    bool verify_results;
    void (*worker_init)();
    void (*sandbox)();
    void (*hook)(step, std::uint32_t seat);
    sequence first;
    std::size_t cpu_count;
    std::array<int, most_cpus> cpus;
    std::size_t kept_count;
    std::array<int, most_kept> kept;
    void (*run)(void* state, worker_call& call);
    void (*function)();
    std::size_t state_bytes;
    alignas(std::max_align_t) std::array<std::byte, most_state_bytes> state;
};
static_assert(std::is_trivially_copyable_v<portable_pool>);

/// Throws std::invalid_argument, which names the field, if these options or this body cannot be had in
/// another process.
[[nodiscard]] portable_pool to_portable(const pool_options& options, const portable_body& body);

/// What the other process makes of it.
[[nodiscard]] pool_options options_of(const portable_pool& order);

/// True if all code that it names is loaded in this process.
[[nodiscard]] bool is_code_loaded(const portable_pool& order);

} // namespace forkflow::nodes
