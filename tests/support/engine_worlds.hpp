// SPDX-License-Identifier: MIT
// The two worlds in which the engine's scenarios run: workers that are threads, and workers that are
// processes.
#pragma once

#include "engine_shared.hpp"
#include "processes.hpp"
#include "thread_host.hpp"

#include <forkflow/nodes/pool.hpp>

#include <sys/types.h>
#include <unistd.h>

#include <csignal>

namespace forkflow_test {

/// What both worlds know of their workers.
struct worker_register {
    static constexpr std::size_t steps = static_cast<std::size_t>(forkflow::nodes::last_step) + 1;
    std::atomic<std::uint32_t> passages[steps];  ///< how often each step was passed, by anyone
    std::atomic<pid_t> tasks[16];                ///< the thread or process in each of the first seats
    std::atomic<forkflow::nodes::step> last[16]; ///< the last step of each of these workers
    std::atomic<std::uint32_t> made;             ///< how many workers there have been
    std::atomic<pid_t> all_tasks[1024];          ///< the first so many of them
};

class engine_world {
public:
    /// How often any worker has passed `here`.
    [[nodiscard]] std::uint32_t passages(forkflow::nodes::step here) const {
        return register_->passages[static_cast<std::size_t>(here)].load();
    }
    [[nodiscard]] pid_t task(std::uint32_t seat) const { return register_->tasks[seat].load(); }
    [[nodiscard]] const worker_register& workers() const { return *register_; }
    /// True if the worker in `seat` sleeps until it is rung: it has passed the step before, and the kernel
    /// says so. (It may sleep elsewhere, in malloc for one.)
    [[nodiscard]] bool asleep(std::uint32_t seat) const {
        using forkflow::nodes::step;
        const step last = register_->last[seat].load();
        return (last == step::parking || last == step::awaiting_admission) && is_asleep(task(seat));
    }

protected:
    /// Counts a step; returns which passage of it this is, from 0.
    std::uint32_t count(forkflow::nodes::step here, std::uint32_t seat) const {
        if (here == forkflow::nodes::step::started) {
            const pid_t task = ::gettid();
            register_->tasks[seat % 16].store(task);
            register_->all_tasks[register_->made.fetch_add(1) % 1024].store(task);
        }
        if (here <= forkflow::nodes::last_worker_step) {
            register_->last[seat % 16].store(here);
        }
        return register_->passages[static_cast<std::size_t>(here)].fetch_add(1);
    }

private:
    shared_value<worker_register> register_;
};

/// A step of a worker: which one, in which seat, and how often the step was passed before by anyone.
struct passage {
    forkflow::nodes::step here;
    std::uint32_t seat;
    std::uint32_t count;
};
using passage_hook = std::function<void(const passage&)>;

class process_world : public engine_world {
public:
    static constexpr const char* name = "processes";

    void prepare(forkflow::pool_options& options, passage_hook hook) {
        options.testing.hook = [this, hook = std::move(hook)](forkflow::nodes::step here,
                                                              std::uint32_t seat) {
            const passage now{here, seat, count(here, seat)};
            if (hook) {
                hook(now);
            }
        };
    }
    void attach(const forkflow::nodes::pool&) {}
    /// In a hook or body: the worker ends here.
    [[noreturn]] static void die() {
        ::raise(SIGKILL);
        ::abort();
    }
    /// In a body: never returns.
    [[noreturn]] static void linger() {
        for (;;) {
            ::pause();
        }
    }
    /// From outside.
    void kill(std::uint32_t seat) const { ::kill(task(seat), SIGKILL); }
    /// The same, of a worker that has no message and shall take none that is put afterwards.
    void kill_idle(std::uint32_t seat) const { kill(seat); }
};

class thread_world : public engine_world {
public:
    static constexpr const char* name = "threads";

    void prepare(forkflow::pool_options& options, passage_hook hook) {
        options.testing.host = [this](forkflow::nodes::worker_main main) {
            return std::make_unique<thread_host>(std::move(main), fates_, how);
        };
        options.testing.hook = [this, hook = std::move(hook)](forkflow::nodes::step here,
                                                              std::uint32_t seat) {
            own_seat() = seat;
            fates_.pass(seat);
            const passage now{here, seat, count(here, seat)};
            if (hook) {
                hook(now);
            }
        };
    }
    void attach(const forkflow::nodes::pool& built) { fates_.attach(built); }
    [[noreturn]] static void die() { throw forkflow::nodes::worker_killed{}; }
    [[noreturn]] void linger() { fates_.linger(own_seat()); }
    void kill(std::uint32_t seat) { fates_.doom(seat); }
    void kill_idle(std::uint32_t seat) { fates_.doom_and_wait(seat); }

    thread_host::settings how;

private:
    static std::uint32_t& own_seat() {
        static thread_local std::uint32_t seat = 0; // a body is not told where it runs
        return seat;
    }
    thread_fates fates_;
};

} // namespace forkflow_test
