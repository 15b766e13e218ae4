// SPDX-License-Identifier: MIT
#include <forkflow/nodes/crew.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/lack_of_memory.hpp>
#include <forkflow/nodes/process_host.hpp>
#include <forkflow/nodes/worker_life.hpp>

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <new>
#include <thread>
#include <utility>

namespace forkflow::nodes {
namespace {

/// A thread of ours: no signal handler of the application runs on it.
template <class Function>
std::thread background_thread(const char* name, Function function) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before); // inherited by the thread from its first instruction on
    try {
        std::thread made(std::move(function));
        ::pthread_setname_np(made.native_handle(), name);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return made;
    } catch (...) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
}

} // namespace

std::unique_ptr<worker_host> pool::crew::make_host(pool& owner, const portable_body& portable) {
    const pool_options& options = owner.options_;
    if (options.server != nullptr) {
        return std::make_unique<process_host>(*options.server, to_portable(options, portable),
                                              owner.shared_.memory().file());
    }
    const auto live = options.testing.host ? live_as_worker : live_as_worker_process;
    const worker_main main = [&owner, live](std::uint32_t seat, std::uint32_t incarnation) {
        return live(owner.shared_, owner.options_, owner.body_, {.seat = seat, .incarnation = incarnation});
    };
    if (options.testing.host) {
        return options.testing.host(main);
    }
    return std::make_unique<process_host>(main, options);
}

pool::crew::crew(pool& owner, std::function<void()> on_progress, const portable_body& portable)
    : host(make_host(owner, portable))
    , tending(owner.shared_, owner.options_, owner.requests_, owner.window_, owner.failures_, owner.seats_,
              owner.guard_, *host)
    , owner_(owner)
    , on_progress_(std::move(on_progress)) {
    tending.set_chore([&owner] { return owner.sweep_if_due(); });
    supervisor_thread_ = background_thread("ff-supervisor", [this] { tending.run(); });
    try {
        // With this thread's name and signal mask: oneTBB may start threads from on_progress, and they
        // inherit both.
        listener_thread_ = std::thread([this] { listen(); });
    } catch (...) {
        tending.stop();
        host->close();
        supervisor_thread_.join();
        throw;
    }
}

pool::crew::~crew() {
    stop();
}

void pool::crew::stop_listening() noexcept {
    if (listener_thread_.joinable()) {
        leaving_.store(true);
        owner_.ring();
        listener_thread_.join();
    }
}

void pool::crew::stop() noexcept {
    if (is_over()) {
        return;
    }
    stop_listening();
    tending.stop();
    owner_.shared_.parent().stopping.store(1, std::memory_order_seq_cst);
    owner_.shared_.ring_all_seats();
    host->close();
    supervisor_thread_.join();
}

void pool::crew::listen() {
    const std::atomic<std::uint32_t>& rings = owner_.shared_.bell().rings;
    std::uint32_t heard = 0;
    while (!leaving_.load()) {
        const std::uint32_t now = rings.load(std::memory_order_acquire); // the release in rings::ring_parent
        // Woken counts also without a change: a wild worker may have set the word back.
        if (now == heard && !futex_wait(rings, heard)) {
            continue;
        }
        heard = rings.load(std::memory_order_acquire);
        tending.look_for_relief_requests();
        if (leaving_.load()) {
            return;
        }
        try {
            on_progress_();
        } catch (
            const std::bad_alloc&) { // for a task, say: others wait for it, so it is tried until there is
            owner_.ring();
            std::this_thread::sleep_for(memory_pause);
        }
    }
}

} // namespace forkflow::nodes
