// SPDX-License-Identifier: MIT
// What /proc tells about processes: who lives, whose child, under which name; and how they end.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace forkflow_test {

struct process {
    ::pid_t pid = 0;
    ::pid_t parent = 0;
    char state = '?'; ///< as in /proc: R, S, T, Z, …
    std::string name{};
};

/// All processes that can be seen, zombies included.
std::vector<process> all_processes();
std::vector<process> children_of(::pid_t parent);
/// Children, their children, and so on.
std::vector<process> descendants_of(::pid_t ancestor);

/// The names of a pool's fork server and of a forkflow::fork_server.
inline constexpr const char* pool_server = "forkflow-server";
inline constexpr const char* launcher = "forkflow-launch";
/// One of our descendants that has this name and is no zombie; 0: none.
::pid_t process_named(const std::string& name);
/// Kills it, as soon as it is there. False: it has not come.
[[nodiscard]] bool kill_process_named(const std::string& name);

/// The fork servers among the children of `parent`.
std::vector<::pid_t> fork_servers_of(::pid_t parent);
/// The workers of all fork servers of `parent`.
std::vector<::pid_t> workers_of(::pid_t parent);

/// While it lives, orphans among our descendants become our children, so that we see how they end.
class adopts_orphans {
public:
    adopts_orphans();
    ~adopts_orphans();
    adopts_orphans(const adopts_orphans&) = delete;
    adopts_orphans& operator=(const adopts_orphans&) = delete;
};

/// True if the kernel says that this process or thread sleeps.
bool is_asleep(::pid_t task);

/// Reaps until no child is left; false if one is still there after `limit`.
bool all_children_end_within(std::chrono::milliseconds limit);

/// The number behind `name` in a file of /proc such as status or smaps_rollup; 0 if it is not there.
std::uint64_t field_of(const std::filesystem::path& file, const std::string& name);

/// Resident memory of this process, in KiB.
long resident_kib();

/// Waits until `done` is true, and looks again every millisecond. False: `limit` has passed.
template <class Condition>
bool comes_true_within(std::chrono::milliseconds limit, Condition done) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= end) {
            return done();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

} // namespace forkflow_test
