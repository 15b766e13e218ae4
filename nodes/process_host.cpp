// SPDX-License-Identifier: MIT
#include <forkflow/nodes/fork_helper.hpp>
#include <forkflow/nodes/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/lack_of_memory.hpp>
#include <forkflow/nodes/process_host.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/wait_for_any.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

namespace forkflow::nodes {
namespace {

/// Without the tail if there is no memory for that: nobody tells of this a second time.
host_event event_of(const fork_server_notice& notice, std::size_t tail_bytes) noexcept {
    host_event event{.what = notice.what,
                     .seat = notice.seat,
                     .incarnation = notice.incarnation,
                     .pid = notice.pid,
                     .signal = notice.signal,
                     .status = notice.status,
                     .error = notice.error,
                     .peak_memory_kib = notice.peak_memory_kib};
    try {
        event.stderr_tail.assign(notice.tail, tail_bytes);
    } catch (...) { // no memory
    }
    return event;
}

} // namespace

process_host::process_host(const worker_main& main, const pool_options& options) {
    server_ends ends = connect();
    interrupt_ = descriptor(checked("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    server_ = fork_helper([&](int parent_pid) {
        // Closed here already, so that a parent with few descriptors left has no child with none; but not
        // where standard ones belong, which an application may lack.
        for (descriptor* const parents : {&socket_, &interrupt_, &lifeline_}) {
            if (parents->get() > STDERR_FILENO) {
                parents->reset();
            }
        }
        run_fork_server({.socket = ends.socket.get(),
                         .lifeline = ends.lifeline.get(),
                         .parent_pid = parent_pid,
                         .keep = options.keep_descriptors,
                         .stderr_tail_bytes = options.stderr_tail_bytes,
                         .hook = options.testing.hook,
                         .main = main});
    });
}

process_host::process_host(forkflow::fork_server& launcher, const portable_pool& order, int mapping)
    : launcher_(&launcher)
    , order_(std::make_unique<portable_pool>(order))
    , mapping_(mapping) {
    interrupt_ = descriptor(checked("eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    for (const int number : std::span(order_->kept).first(order_->kept_count)) {
        kept_.emplace_back(
            checked("fcntl of one of keep_descriptors", ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)));
    }
    launch();
}

process_host::~process_host() {
    close();
    wait_for_helper(server_);
    wait_for_last_worker();
}

process_host::server_ends process_host::connect() {
    int pair[2] = {-1, -1};
    checked("socketpair", ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    socket_ = descriptor(pair[0]);
    server_ends ends{.socket = descriptor(pair[1]), .lifeline = {}};
    checked("pipe2", ::pipe2(pair, O_CLOEXEC | O_NONBLOCK));
    lifeline_ = descriptor(pair[0]);
    ends.lifeline = descriptor(pair[1]);
    return ends;
}

void process_host::launch() {
    const server_ends ends = connect();
    std::vector<int> handed{ends.socket.get(), ends.lifeline.get(), mapping_};
    for (const descriptor& kept : kept_) {
        handed.push_back(kept.get());
    }
    server_ = launcher_->launch(*order_, handed);
}

bool process_host::restart() {
    const clock::time_point end = clock::now() + helper_patience;
    std::optional<bool> restarted = try_restart();
    while (!restarted && clock::now() < end) {
        std::this_thread::sleep_for(memory_pause);
        restarted = try_restart();
    }
    return restarted.value_or(false);
}

/// Nothing: it may be possible later.
std::optional<bool> process_host::try_restart() {
    const std::scoped_lock lock(closing_);
    if (launcher_ == nullptr || closed_) {
        return false;
    }
    try {
        launch();
        return true;
    } catch (const std::bad_alloc&) {
        return std::nullopt;
    } catch (const std::system_error& refused) {
        const int error = refused.code().value();
        return is_lack_of_memory(error) || error == EAGAIN ? std::nullopt : std::optional(false);
    } catch (const std::exception&) { // the launcher does not know the code
        return false;
    }
}

void process_host::start(std::uint32_t seat, std::uint32_t incarnation) {
    ask({fork_server_request::kind::start, seat, incarnation});
}

void process_host::kill(std::uint32_t seat, std::uint32_t incarnation) {
    ask({fork_server_request::kind::kill, seat, incarnation});
}

// If the fork server is gone, closed is told. Only a running process hears, so it is continued if somebody
// has stopped it: messages wait for what it is asked for. While there is no memory to ask, nothing else could
// be done about them either; once the fork server is gone, or close was called, the kernel says so before it
// looks for memory.
void process_host::ask(const fork_server_request& request) const {
    while (uninterrupted([&] { return ::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL); }) ==
               -1 &&
           is_lack_of_memory(errno)) {
        std::this_thread::sleep_for(memory_pause);
    }
    signal_helper(server_, SIGCONT);
}

void process_host::close() {
    const std::scoped_lock lock(closing_);
    closed_ = true;
    kill_server_at_ = clock::now() + helper_patience;
    tell_helper_to_go(socket_, server_);
    interrupt(); // who already waits for an event does not know of the time at which to kill
}

void process_host::wake() {
    signal_helper(server_, SIGCONT);
}

void process_host::interrupt() {
    ::eventfd_write(interrupt_.get(), 1);
}

/// Once closed, a fork server that does not end is killed, and the kernel then kills its workers: somebody
/// may have stopped it again. Returns for how long there is nothing to do, at most `patience_ns`.
std::int64_t process_host::see_to_end(std::int64_t patience_ns) {
    const std::scoped_lock lock(closing_);
    if (!closed_) {
        return patience_ns;
    }
    const clock::time_point now = clock::now();
    if (now >= kill_server_at_) {
        signal_helper(server_, SIGKILL);
        kill_server_at_ = now + helper_patience;
    }
    const std::int64_t left = std::chrono::nanoseconds(kill_server_at_ - now).count();
    return patience_ns < 0 ? left : std::min(patience_ns, left);
}

host_event process_host::next_event(std::int64_t patience_ns) {
    patience_ns = see_to_end(patience_ns);
    pollfd watched[3] = {
        {socket_.get(), POLLIN, 0}, {interrupt_.get(), POLLIN, 0}, {server_.get(), POLLIN, 0}};
    if (!wait_for_any(watched, patience_ns)) {
        watched[2].revents = has_ended(server_) ? POLLIN : 0;
    }
    eventfd_t interrupts = 0;
    ::eventfd_read(interrupt_.get(), &interrupts);
    if (watched[0].revents == 0 && watched[2].revents == 0) {
        return {.what = host_event::kind::quiet};
    }
    fork_server_notice notice;
    const ssize_t got =
        uninterrupted([&] { return ::recv(socket_.get(), &notice, sizeof notice, MSG_DONTWAIT); });
    if (got >= static_cast<ssize_t>(notice_head_bytes)) {
        return event_of(notice, static_cast<std::size_t>(got) - notice_head_bytes);
    }
    if (got == -1 && errno == EAGAIN && watched[2].revents == 0) { // it could not be looked at
        return {.what = host_event::kind::quiet};
    }
    // End of file; or nothing, and the fork server is dead, although some other child of ours holds its end
    // of the pair.
    wait_for_last_worker();
    return {.what = host_event::kind::closed};
}

void process_host::wait_for_last_worker() {
    // The kernel kills the workers of a dead fork server. What a body forked itself may hold the lifeline
    // longer, but it has no part in the rings; so this wait is bounded, and made once.
    if (lifeline_) {
        (void)wait_for_end(lifeline_, std::chrono::seconds(3), [this] {
            char none = 0;
            return ::read(lifeline_.get(), &none, 1) == 0; // nobody writes there
        });
        lifeline_.reset();
    }
}

} // namespace forkflow::nodes
