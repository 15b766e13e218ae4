// SPDX-License-Identifier: MIT
// A worker killed after every single instruction of its cycle. The test steps it with ptrace from its wake,
// or from its way to sleep, over claim, body, publication and notice to its next sleep, and kills it after
// instruction k. Nothing may be lost, doubled or stuck, and the charge is what the state word says.
//
// Of all k an ordinary run takes a sample, with a seed that it prints. FORKFLOW_SINGLE_STEP=all takes every
// k; FORKFLOW_SEED replays a sample. Where ptrace is refused nothing is tried; with FORKFLOW_REQUIRE_PTRACE
// set that is a failure.
#include "support/cpus.hpp"
#include "support/engine_death_scenarios.hpp"
#include "support/leftovers.hpp"
#include "support/sanitized.hpp"

#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>
#include <random>

#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

using namespace forkflow_test;

#if defined(__x86_64__)
namespace {

/// A worker under this thread's control. Killed and reaped at the end, so that its fork server can reap it
/// too.
class traced_worker {
public:
    explicit traced_worker(pid_t pid)
        : pid_(pid)
        , held_(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0) {}
    ~traced_worker() {
        if (held_) {
            kill();
        }
    }
    traced_worker(const traced_worker&) = delete;
    traced_worker& operator=(const traced_worker&) = delete;

    [[nodiscard]] bool held() const { return held_; }
    /// Waits until it stops itself by SIGSTOP, which is then suppressed.
    [[nodiscard]] bool stops_itself() const {
        int status = 0;
        return eventually([&] { return ::waitpid(pid_, &status, __WALL | WNOHANG) == pid_; }) &&
               WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
    }
    /// One instruction. False: something else happened to it.
    [[nodiscard]] bool step() const {
        int status = 0;
        return ::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) == 0 &&
               ::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
    }
    /// True if its next instruction is the system call in which it sleeps.
    [[nodiscard]] bool is_about_to_sleep() const {
        user_regs_struct at{};
        ::ptrace(PTRACE_GETREGS, pid_, nullptr, &at);
        constexpr unsigned long syscall_instruction = 0x050f;
        return at.rax == SYS_futex && (at.rsi & 0x7fU) == FUTEX_WAIT &&
               (static_cast<unsigned long>(::ptrace(PTRACE_PEEKTEXT, pid_, at.rip, nullptr)) & 0xffffU) ==
                   syscall_instruction;
    }
    void kill() {
        ::kill(pid_, SIGKILL);
        for (int status = 0; ::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status);) {
        }
        held_ = false;
    }

private:
    const pid_t pid_;
    bool held_;
};

/// Where a cycle begins.
enum class beginning {
    woken,  ///< asleep; a message has rung it
    parking ///< on its way to sleep; a message comes before it looks again
};

/// What the state word of the message said when the worker was killed.
enum class found { ready, claimed, published };

struct cut {
    std::uint64_t instructions = 0; ///< that were carried out
    bool whole = false;             ///< the cycle was at its end
    found word = found::ready;
    std::uint64_t claimed_after = 0;   ///< so many of them
    std::uint64_t published_after = 0; ///< likewise
};

/// This thread's CPU alone, for this thread and whom else it is told: a step is a switch from the one to the
/// other and back, which costs much more across CPUs.
class one_cpu {
public:
    one_cpu() { ::sched_setaffinity(0, sizeof only_, &only_); }
    ~one_cpu() { ::sched_setaffinity(0, sizeof before_, &before_); }
    one_cpu(const one_cpu&) = delete;
    one_cpu& operator=(const one_cpu&) = delete;

    void share_with(pid_t process) const { ::sched_setaffinity(process, sizeof only_, &only_); }

private:
    cpu_set_t before_ = forkflow_test::allowed_cpus();
    cpu_set_t only_ = forkflow_test::only(static_cast<std::size_t>(::sched_getcpu()));
};

/// Takes of a request its head alone, so that the cycle is short, and returns the right result.
void answer(forkflow::nodes::worker_call& call) {
    const auto head = call.request.read_value<message_head>();
    if (!empty_result(head.index)) {
        call.result.write_value(head);
        write_pattern(call.result, ~head.index, result_filler(head.index));
    }
}

/// The messages that are cut have results of a head alone, as short as one another.
constexpr bool is_to_be_cut(std::uint64_t index) {
    return result_filler(index) == 0 && !empty_result(index);
}

/// A pool of one worker, whose cycles are cut short.
class cutter {
public:
    cutter(beginning from, bool verify_results)
        : from_(from) {
        pool_options options = small_pool(1, 4, 4);
        options.verify_results = verify_results;
        options.deadline = std::chrono::hours(1); // so that the clock is part of the cycle
        tested_.emplace(
            options,
            [this](const passage& now) {
                if (now.here == at() && armed_->exchange(false)) {
                    ::raise(SIGSTOP);
                }
            },
            answer, [](process_world&) {});
    }

    /// A cycle that ends after `most` instructions, or at its own end. What is wrong is added to `wrong`.
    cut run(std::uint64_t most, std::string& wrong) {
        warm_up();
        cut done;
        {
            traced_worker worker(tested_->world().task(0));
            if (!worker.held()) {
                refused_ = true;
                return done;
            }
            const one_cpu cpu;
            cpu.share_with(tested_->world().task(0));
            const std::uint64_t index = begin(worker);
            while (done.instructions < most && !(done.whole = worker.is_about_to_sleep())) {
                if (!worker.step()) {
                    wrong += "the worker did not step\n";
                    break;
                }
                ++done.instructions;
                note(done, look(index));
            }
            done.word = look(index);
        }
        check(done, wrong);
        return done;
    }
    [[nodiscard]] bool refused() const { return refused_; }

private:
    [[nodiscard]] step at() const { return from_ == beginning::woken ? step::woken : step::parking; }

    /// The first message of a worker costs more instructions than those that follow.
    void warm_up() {
        if (from_ == beginning::woken) {
            pass_one();
        } else {
            tested_->put();
            ++next_;
            REQUIRE(faults(tested_->collect(1)).empty());
        }
        REQUIRE(eventually([&] { return tested_->world().asleep(0); }));
    }
    void pass_one() {
        // Markers bring the number of the message that follows to one that is to be cut.
        for (; !is_to_be_cut(next_ + 1); ++next_) {
            tested_->put_marker();
            REQUIRE(faults(tested_->collect(1)).empty());
        }
        tested_->put();
        ++next_;
        const auto outcome = tested_->collect(1);
        REQUIRE(faults(outcome).empty());
        REQUIRE(outcome[0].attempts == 1);
    }
    /// Returns the index of the message that is inside, with the worker stopped at the beginning.
    std::uint64_t begin(const traced_worker& worker) {
        armed_->store(true);
        if (from_ == beginning::parking) {
            pass_one();
            REQUIRE(worker.stops_itself());
        }
        const std::uint64_t index = tested_->reserve();
        tested_->commit(index);
        ++next_;
        if (from_ == beginning::woken) {
            REQUIRE(worker.stops_itself());
        }
        return index;
    }
    static void note(cut& done, found word) {
        if (word == found::ready) {
            done.claimed_after = done.instructions + 1;
        }
        if (word != found::published) {
            done.published_after = done.instructions + 1;
        }
    }
    found look(std::uint64_t index) {
        const auto word = forkflow::nodes::state_word::unpacked(
            rings_of(rings_key(), tested_->pool()).state(tested_->number_of(index)).load());
        return word.state == message_state::ready     ? found::ready
               : word.state == message_state::claimed ? found::claimed
                                                      : found::published;
    }
    void check(const cut& done, std::string& wrong) {
        if (!tested_->deaths_become(++deaths_)) {
            wrong += "the death was not noticed\n";
        }
        retries_ += done.word == found::claimed ? 1 : 0;
        const auto outcome = tested_->collect(1);
        wrong += faults(outcome);
        if (outcome[0].failed || outcome[0].attempts != (done.word == found::claimed ? 2U : 1U) ||
            tested_->statistics().retries != retries_) {
            wrong += "after " + std::to_string(done.instructions) + " instructions, with the word " +
                     std::to_string(static_cast<int>(done.word)) + ": " +
                     (outcome[0].failed ? "failed" : "attempts " + std::to_string(outcome[0].attempts)) +
                     "\n";
        }
    }

    const beginning from_;
    shared_value<std::atomic<bool>> armed_;
    std::optional<engine<process_world>> tested_;
    std::uint64_t next_ = 0; ///< the index of the next message
    std::uint64_t deaths_ = 0;
    std::uint64_t retries_ = 0;
    bool refused_ = false;
};

bool complete() {
    const char* const wanted = std::getenv("FORKFLOW_SINGLE_STEP");
    return wanted != nullptr && std::string(wanted) == "all";
}

unsigned seed() {
    const char* const given = std::getenv("FORKFLOW_SEED");
    static const unsigned value =
        given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
    return value;
}

/// Adds one at random out of each of `count` equal parts of what begins with `first` and ends before `end`.
void add_sample(std::vector<std::uint64_t>& cuts, std::uint64_t first, std::uint64_t end, std::uint64_t count,
                std::mt19937& random) {
    const std::uint64_t length = end - first;
    for (std::uint64_t part = 0; part < std::min(count, length); ++part) {
        const std::uint64_t parts = std::min(count, length);
        cuts.push_back(std::uniform_int_distribution<std::uint64_t>(
            first + part * length / parts, first + (part + 1) * length / parts - 1)(random));
    }
}

/// Which k are tried: all, or a sample, as many before the claim as between it and the publication, and after
/// that. How long the worker looks for more before it sleeps depends on the time.
std::vector<std::uint64_t> cuts_of(const cut& cycle) {
    std::vector<std::uint64_t> cuts;
    if (complete()) {
        cuts.resize(cycle.instructions + 1);
        std::iota(cuts.begin(), cuts.end(), 0U);
        return cuts;
    }
    const std::uint64_t each = scaled_down(51, 5);
    std::mt19937 random(seed());
    add_sample(cuts, 0, cycle.claimed_after, each, random);
    add_sample(cuts, cycle.claimed_after, cycle.published_after, each, random);
    add_sample(cuts, cycle.published_after, cycle.instructions + 1, each, random);
    return cuts;
}

/// The shortest of some whole cycles: one alone may have been held up.
cut whole_cycle(cutter& tested, std::string& wrong) {
    cut shortest = tested.run(~std::uint64_t{0}, wrong);
    for (int i = 0; i < 2 && !tested.refused(); ++i) {
        const cut another = tested.run(~std::uint64_t{0}, wrong);
        if (another.instructions < shortest.instructions) {
            shortest = another;
        }
    }
    return shortest;
}

void cut_everywhere(const char* name, beginning from, bool verify_results = false) {
    cutter tested(from, verify_results);
    std::string wrong;
    const cut whole = whole_cycle(tested, wrong);
    if (tested.refused()) {
        if (std::getenv("FORKFLOW_REQUIRE_PTRACE") != nullptr) {
            FAIL("FORKFLOW_REQUIRE_PTRACE is set, but this environment refuses ptrace");
        }
        WARN("left out: this environment refuses ptrace");
        return;
    }
    REQUIRE(whole.whole);
    REQUIRE(whole.word == found::published);
    REQUIRE(wrong.empty());
    const auto start = std::chrono::steady_clock::now();
    std::map<found, std::uint64_t> count;
    std::map<found, std::uint64_t> first;
    const auto cuts = cuts_of(whole);
    for (const std::uint64_t after : cuts) {
        const cut done = tested.run(after, wrong);
        ++count[done.word];
        first.try_emplace(done.word, done.instructions);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::cout << "single steps from " << name << ": a cycle of " << whole.instructions << " instructions, "
              << cuts.size() << " kills in " << taken.count() << " s (seed " << seed()
              << "): " << count[found::ready] << " before the claim, " << count[found::claimed]
              << " after it (from " << first[found::claimed] << "), " << count[found::published]
              << " after the publication (from " << first[found::published]
              << "); faults: " << std::count(wrong.begin(), wrong.end(), '\n') << '\n';
    CHECK(wrong == "");
    CHECK(count[found::ready] > 0);
    CHECK(count[found::claimed] > 0);
    CHECK(count[found::published] > 0);
}

std::chrono::seconds limit() {
    return complete() ? std::chrono::hours(2) : std::chrono::seconds(250);
}

} // namespace

TEST_CASE("A worker killed after any instruction since it was woken costs at most an attempt") {
    const bounded_test frame(limit());
    cut_everywhere("its wake", beginning::woken);
}

TEST_CASE("A worker killed after any instruction since it wanted to sleep costs at most an attempt") {
    const bounded_test frame(limit());
    cut_everywhere("its way to sleep", beginning::parking);
}

TEST_CASE("A worker whose results are verified costs at most an attempt too, killed after any instruction") {
    const bounded_test frame(limit());
    cut_everywhere("its wake, verifying", beginning::woken, true);
}

#else
TEST_CASE("A worker killed after any instruction costs at most an attempt") {
    WARN("left out: only the instructions of x86-64 are known here");
}
#endif
