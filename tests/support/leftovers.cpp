// SPDX-License-Identifier: MIT
#include "support/leftovers.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

#include <oneapi/tbb/task_arena.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <system_error>

#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

namespace forkflow_test {
namespace {

namespace fs = std::filesystem;

/// The name of a mapping that this process hands down to all that it forks, and that nobody else has.
const std::string& mark() {
    static const std::string name = [] {
        const std::string unique = "forkflow-test-" + std::to_string(::getpid());
        const int file = ::memfd_create(unique.c_str(), MFD_CLOEXEC);
        constexpr std::size_t one_page = 4096;
        if (file == -1 || ::ftruncate(file, one_page) == -1 ||
            ::mmap(nullptr, one_page, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED) {
            throw std::system_error(errno, std::generic_category(), "mark of a test");
        }
        ::close(file);
        return "memfd:" + unique + " ";
    }();
    return name;
}

void add_descriptors(std::set<std::string>& found) {
    const std::string own = "/proc/" + std::to_string(::getpid()) + "/fd";
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string target = fs::read_symlink(entry.path(), gone);
        if (!gone && target != own) { // the directory that is being read
            found.insert("descriptor " + entry.path().filename().string() + " of " + target);
        }
    }
}

void add_threads(std::set<std::string>& found) {
    for (const auto& entry : fs::directory_iterator("/proc/self/task")) {
        std::ifstream file(entry.path() / "comm");
        std::string name;
        std::getline(file, name);
        if (name.starts_with("ff-")) { // others are oneTBB's, which come and go as they like
            found.insert("thread " + entry.path().filename().string() + " " + name);
        }
    }
}

void add_mappings(std::set<std::string>& found) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:forkflow ") != std::string::npos) {
            found.insert("mapping " + line);
        }
    }
}

bool is_marked(::pid_t pid) {
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find(mark()) != std::string::npos) {
            return true;
        }
    }
    return false;
}

void add_processes(std::set<std::string>& found) {
    for (const process& one : all_processes()) {
        if (one.pid != ::getpid() && (one.parent == ::getpid() || is_marked(one.pid))) {
            found.insert("process " + std::to_string(one.pid) + " " + one.name +
                         (one.state == 'Z' ? " (zombie)" : ""));
        }
    }
}

void add_shared_memory_files(std::set<std::string>& found) {
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator("/dev/shm", absent)) {
        found.insert("file " + entry.path().string());
    }
}

void bark(int /*signal*/) {
    constexpr char message[] = "\nforkflow: the test hangs or is far too slow; the watchdog ends it\n";
    if (::write(STDERR_FILENO, message, sizeof message - 1) > 0) {
        std::abort();
    }
    ::_exit(98);
}

} // namespace

std::set<std::string> belongings() {
    std::set<std::string> found;
    add_shared_memory_files(found);
    add_processes(found);
    add_threads(found);
    add_mappings(found);
    add_descriptors(found);
    return found;
}

std::string left_behind_since(const std::set<std::string>& before) {
    std::string left;
    comes_true_within(std::chrono::seconds(5), [&] {
        left.clear();
        for (const std::string& one : belongings()) {
            if (!before.contains(one)) {
                left += one + '\n';
            }
        }
        return left.empty();
    });
    return left;
}

void start_tbb_threads() {
    std::binary_semaphore started(0);
    tbb::task_arena arena(2);
    arena.enqueue([&] { started.release(); }); // nobody waits in the arena, so a thread of oneTBB must do it
    started.acquire();
}

watchdog::watchdog(std::chrono::seconds limit) {
    struct sigaction action {};
    action.sa_handler = bark;
    ::sigaction(SIGALRM, &action, nullptr);
    ::alarm(static_cast<unsigned>(limit.count()) * (sanitized ? 5U : 1U));
}

watchdog::~watchdog() {
    ::alarm(0);
}

} // namespace forkflow_test
