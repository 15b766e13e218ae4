// SPDX-License-Identifier: MIT
#include "support/processes.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <system_error>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace forkflow_test {
namespace {

/// The process behind /proc/<pid>; pid 0 if it is gone.
process read_process(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/stat");
    std::string line;
    std::getline(file, line);
    const std::size_t open = line.find('(');
    const std::size_t close = line.rfind(')'); // names may hold anything
    if (open == std::string::npos || close == std::string::npos) {
        return {};
    }
    process found{.pid = std::stoi(pid), .name = line.substr(open + 1, close - open - 1)};
    std::istringstream rest(line.substr(close + 1));
    rest >> found.state >> found.parent;
    return found;
}

} // namespace

std::vector<process> all_processes() {
    std::vector<process> all;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
            if (process found = read_process(name); found.pid != 0) {
                all.push_back(std::move(found));
            }
        }
    }
    return all;
}

std::vector<process> children_of(::pid_t parent) {
    std::vector<process> all = all_processes();
    std::erase_if(all, [&](const process& one) { return one.parent != parent; });
    return all;
}

std::vector<process> descendants_of(::pid_t ancestor) {
    const std::vector<process> all = all_processes();
    std::vector<process> found;
    std::vector<::pid_t> parents{ancestor};
    while (!parents.empty()) {
        const ::pid_t parent = parents.back();
        parents.pop_back();
        for (const process& one : all) {
            if (one.parent == parent) {
                found.push_back(one);
                parents.push_back(one.pid);
            }
        }
    }
    return found;
}

::pid_t process_named(const std::string& name) {
    for (const process& one : descendants_of(::getpid())) {
        if (one.name == name && one.state != 'Z') {
            return one.pid;
        }
    }
    return 0;
}

bool kill_process_named(const std::string& name) {
    ::pid_t pid = 0; // it takes a moment until it has that name
    return comes_true_within(std::chrono::seconds(10), [&] { return (pid = process_named(name)) > 0; }) &&
           ::kill(pid, SIGKILL) == 0;
}

std::vector<::pid_t> fork_servers_of(::pid_t parent) {
    std::vector<::pid_t> servers;
    for (const process& child : children_of(parent)) {
        if (child.name == pool_server) {
            servers.push_back(child.pid);
        }
    }
    return servers;
}

std::vector<::pid_t> workers_of(::pid_t parent) {
    std::vector<::pid_t> workers;
    for (const ::pid_t server : fork_servers_of(parent)) {
        for (const process& child : children_of(server)) {
            workers.push_back(child.pid);
        }
    }
    return workers;
}

adopts_orphans::adopts_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

adopts_orphans::~adopts_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

bool is_asleep(::pid_t task) {
    return read_process(std::to_string(task)).state == 'S';
}

bool all_children_end_within(std::chrono::milliseconds limit) {
    return comes_true_within(limit, [] {
        ::pid_t reaped = 0;
        while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        return reaped == -1 && errno == ECHILD;
    });
}

std::uint64_t field_of(const std::filesystem::path& file, const std::string& name) {
    std::ifstream from(file);
    std::uint64_t value = 0;
    for (std::string word; from >> word;) {
        if (word == name) {
            from >> value;
            break;
        }
        from.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    return value;
}

long resident_kib() {
    return static_cast<long>(field_of("/proc/self/status", "VmRSS:"));
}

} // namespace forkflow_test
