// SPDX-License-Identifier: MIT
#include <forkflow/nodes/crew.hpp>
#include <forkflow/nodes/futex.hpp>
#include <forkflow/nodes/process_host.hpp>
#include <forkflow/nodes/worker.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <pthread.h>
#include <unistd.h>

#include <csignal>
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

/// The factory of hosts whose workers are processes that prepare themselves as such.
host_factory processes(const rings& shared, const pool_options& options) {
    return [&shared, &options](const worker_main& main) -> std::unique_ptr<worker_host> {
        const worker_main in_process = [&shared, &main](std::uint32_t seat, std::uint32_t incarnation) {
            shared.memory().seal();
            shared.memory().withhold_from_children();
            leave_last_words(shared, seat);
            return main(seat, incarnation);
        };
        return std::make_unique<process_host>(in_process, options);
    };
}

/// What a worker does from its first instruction to its last; its exit status. `in_process`: it has a process
/// for itself.
int worker_life(const rings& shared, const pool_options& options, const worker_body& body,
                const worker_identity& self, bool in_process) {
    const int parent = ::getppid();
    worker working(shared, options, body, options.testing.hook, self);
    const auto prepare = [&] {
        if (in_process) {
            apply(options.limits);
        }
    };
    const auto seclude = [&] {
        if (in_process) {
            die_with(parent); // again: worker_init may have changed credentials, which undoes it
        }
        if (options.sandbox) {
            options.sandbox();
        }
    };
    if (!working.initialise(prepare, seclude)) {
        return 1;
    }
    working.run();
    return 0;
}

} // namespace

pool::crew::crew(pool& owner, std::function<void()> on_progress)
    : host((owner.options_.testing.host ? owner.options_.testing.host
                                        : processes(owner.shared_, owner.options_))(
          [&owner](std::uint32_t seat, std::uint32_t incarnation) {
              return worker_life(owner.shared_, owner.options_, owner.body_,
                                 {.seat = seat, .incarnation = incarnation}, !owner.options_.testing.host);
          }))
    , tending(owner.shared_, owner.options_, owner.requests_, owner.window_, owner.failures_, owner.seats_,
              owner.guard_, *host)
    , owner_(owner)
    , on_progress_(std::move(on_progress)) {
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

void pool::crew::stop() noexcept {
    if (leaving_.load()) {
        return;
    }
    tending.stop();
    owner_.shared_.parent().stopping.store(1, std::memory_order_seq_cst);
    owner_.shared_.ring_all_seats();
    host->close();
    supervisor_thread_.join();
    leaving_.store(true);
    owner_.ring();
    listener_thread_.join();
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
        if (!leaving_.load()) {
            on_progress_();
        }
    }
}

} // namespace forkflow::nodes
