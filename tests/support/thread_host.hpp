// SPDX-License-Identifier: MIT
// A host whose workers are threads, so that the thread sanitizer sees the whole protocol. A thread cannot be
// killed: a worker "dies" when its hook throws worker_killed, and is told dead once it is joined, as a
// process once reaped.
#pragma once

#include <forkflow/nodes/pool.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace forkflow_test {

// A host must be able to wake a sleeping thread so that it notices its death. The bells are in the pool's
// rings, which are private; an explicit instantiation may name a private member, and this one hands it out.
struct rings_key {
    friend const forkflow::nodes::rings& rings_of(rings_key, const forkflow::nodes::pool&);
};
template <class Key, auto Member>
struct rings_door {
    friend const forkflow::nodes::rings& rings_of(Key, const forkflow::nodes::pool& owner) {
        return owner.*Member;
    }
};
template struct rings_door<rings_key, &forkflow::nodes::pool::shared_>;

/// Who among the worker threads is to die, and the bells that wake them. Shared by hooks, bodies and hosts;
/// outlives the pool. Thread-safe.
class thread_fates {
public:
    /// To be called once the pool is built, with that pool.
    void attach(const forkflow::nodes::pool& built) {
        const std::scoped_lock lock(mutex_);
        pool_ = &built;
        changed_.notify_all();
    }
    /// The next step of the worker in `seat` will be its last. Waits for attach.
    void doom(std::uint32_t seat) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return pool_ != nullptr; });
        doomed_[seat].store(true);
        changed_.notify_all();
        rings_of(rings_key(), *pool_).ring_seat(seat);
    }
    /// The same, and waits until it has come to that step: a worker which was about to look for work takes
    /// no message that is put later.
    void doom_and_wait(std::uint32_t seat) {
        const std::uint32_t before = noticed_[seat].load();
        doom(seat);
        noticed_[seat].wait(before);
    }
    void spare(std::uint32_t seat) { doomed_[seat].store(false); }
    /// The hook's part: ends the calling worker if it is doomed.
    void pass(std::uint32_t seat) {
        if (doomed_[seat].load()) {
            noticed_[seat].fetch_add(1);
            noticed_[seat].notify_all();
            throw forkflow::nodes::worker_killed{};
        }
    }
    /// A body that would never return.
    [[noreturn]] void linger(std::uint32_t seat) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return doomed_[seat].load(); });
        throw forkflow::nodes::worker_killed{};
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    const forkflow::nodes::pool* pool_ = nullptr;
    std::array<std::atomic<bool>, forkflow::nodes::max_workers> doomed_{};
    std::array<std::atomic<std::uint32_t>, forkflow::nodes::max_workers> noticed_{}; ///< how often, by seat
};

/// See the head of this file. Requests behave as those to a fork server: they are carried out in order, start
/// does nothing after close, kill does nothing to a worker that is gone.
class thread_host final : public forkflow::nodes::worker_host {
    using host_event = forkflow::nodes::host_event;

public:
    /// Called by whoever kills, before the worker is doomed: what a test lets happen between a decision to
    /// kill and the death. And how many of the next starts fail, as fork does when there are too many
    /// processes.
    struct settings {
        std::function<void(std::uint32_t seat)> before_kill;
        std::atomic<unsigned> refusals{0};
    };

    thread_host(forkflow::nodes::worker_main main, thread_fates& fates, settings& how)
        : main_(std::move(main))
        , fates_(fates)
        , how_(how) {}
    ~thread_host() override {
        close();
        while (next_event(-1).what != host_event::kind::closed) {
        }
    }
    thread_host(const thread_host&) = delete;
    thread_host& operator=(const thread_host&) = delete;

    void start(std::uint32_t seat, std::uint32_t incarnation) override {
        const std::scoped_lock lock(mutex_);
        if (closed_) {
            return;
        }
        if (how_.refusals.load() > 0) {
            --how_.refusals;
            tell({.what = host_event::kind::refused,
                  .seat = seat,
                  .incarnation = incarnation,
                  .error = EAGAIN});
            return;
        }
        fates_.spare(seat);
        workers_[seat] = {incarnation, std::thread([this, seat, incarnation] { run(seat, incarnation); })};
    }

    void kill(std::uint32_t seat, std::uint32_t incarnation) override {
        if (how_.before_kill) {
            how_.before_kill(seat);
        }
        const std::scoped_lock lock(mutex_);
        const auto found = workers_.find(seat);
        if (found != workers_.end() && found->second.incarnation == incarnation) {
            fates_.doom(seat);
        }
    }

    void close() override {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        for (const auto& [seat, sitting] : workers_) {
            fates_.doom(seat);
        }
        changed_.notify_all();
    }

    void interrupt() override {
        const std::scoped_lock lock(mutex_);
        interrupted_ = true;
        changed_.notify_all();
    }

    host_event next_event(std::int64_t patience_ns) override {
        std::unique_lock lock(mutex_);
        const auto something = [this] {
            return !events_.empty() || interrupted_ || (closed_ && workers_.empty());
        };
        if (patience_ns < 0) {
            changed_.wait(lock, something);
        } else {
            changed_.wait_for(lock, std::chrono::nanoseconds(patience_ns), something);
        }
        interrupted_ = false;
        if (events_.empty()) {
            return {.what = closed_ && workers_.empty() ? host_event::kind::closed : host_event::kind::quiet};
        }
        const host_event event = events_.front();
        events_.pop_front();
        if (event.what == host_event::kind::died) {
            std::thread gone = std::move(workers_.at(event.seat).thread);
            workers_.erase(event.seat);
            lock.unlock();
            gone.join();
        }
        return event;
    }

private:
    struct worker_thread {
        std::uint32_t incarnation;
        std::thread thread;
    };

    void run(std::uint32_t seat, std::uint32_t incarnation) {
        host_event death{.what = host_event::kind::died, .seat = seat, .incarnation = incarnation};
        try {
            death.status = main_(seat, incarnation);
        } catch (const forkflow::nodes::worker_killed&) {
            death.signal = SIGKILL;
        } catch (...) { // as in a worker process: a broken protocol
            death.status = 70;
        }
        const std::scoped_lock lock(mutex_);
        tell(death);
    }
    void tell(const host_event& event) {
        events_.push_back(event);
        changed_.notify_all();
    }

    const forkflow::nodes::worker_main main_;
    thread_fates& fates_;
    settings& how_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint32_t, worker_thread> workers_;
    std::deque<host_event> events_;
    bool closed_ = false;
    bool interrupted_ = false;
};

} // namespace forkflow_test
