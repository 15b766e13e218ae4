// SPDX-License-Identifier: MIT
// forkflow::fork_server: started while the program has one thread, it serves nodes that are made later.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <cstdint>
#include <mutex>
#include <span>

namespace forkflow {

namespace nodes {
struct portable_pool;
} // namespace nodes

/// A process that is forked early, and from which pools that are made later get their fork servers and
/// workers. Make it first thing in main(), before any thread exists; name it in pool_options::server.
///
///     int main() {
///         forkflow::fork_server early;
///         … threads, libraries, oneTBB …
///         forkflow::ordered_process_node<page, text> parse(g, {.server = &early}, parse_page);
///
/// Without it, a pool forks from the program as it is at that moment. That works as well as fork can: what
/// other threads have locked stays locked in the workers, except for glibc's malloc and stdio.
///
/// The price: workers know the program as it was when the fork_server was made. A body must be code that was
/// loaded by then, trivially copyable, of at most 16 KiB, and have a state that means something there: a
/// pointer or a reference is not seen, and leads to what was there then. worker_init and sandbox must be
/// pointers to functions (`+[] {…}`) that were loaded by then. keep_descriptors are handed over, up to 64;
/// limits.cpus may have 256. Others throw std::invalid_argument when the pool is made. The working directory
/// and the environment are those of then.
///
/// With it, a pool also survives the death of its own fork server: a new one is asked for, and what the
/// workers were running is charged with an attempt.
///
/// If this process is dead, or somebody has stopped it (then: after 5 s), who makes a pool gets a
/// std::system_error; pools that are there go on.
///
/// Thread-safe. Must outlive the pools that name it. Cost: one sleeping process. It ends with this object,
/// and with the program, however that ends.
class fork_server {
public:
    /// Forks. Throws std::system_error.
    fork_server();
    /// Ends the process. No pool may name it any more.
    ~fork_server();
    fork_server(const fork_server&) = delete;
    fork_server& operator=(const fork_server&) = delete;

    /// For forkflow's own use: a fork server for this pool, which is given copies of `handed`: its ends of
    /// socket and lifeline, the mapping, and what is kept. Returns its pidfd. Throws std::system_error, if
    /// the process does not answer within 5 s as well: somebody may have stopped it; std::invalid_argument if
    /// code is not known there.
    [[nodiscard]] nodes::descriptor launch(const nodes::portable_pool& order, std::span<const int> handed);

private:
    nodes::descriptor socket_;
    nodes::descriptor process_; ///< a pidfd
    std::mutex asking_;
    std::uint64_t tickets_ = 0; ///< guarded by asking_
};

} // namespace forkflow
