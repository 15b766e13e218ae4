// SPDX-License-Identifier: MIT
#include <forkflow/nodes/descriptor_passing.hpp>
#include <forkflow/nodes/fork_helper.hpp>
#include <forkflow/nodes/fork_server.hpp>
#include <forkflow/nodes/fork_server_protocol.hpp>
#include <forkflow/nodes/launcher.hpp>
#include <forkflow/nodes/portable_pool.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/wait_for_any.hpp>
#include <forkflow/nodes/worker_life.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

namespace forkflow {
namespace nodes {
namespace {

/// How many descriptors come before those that are kept: socket, lifeline and mapping.
constexpr std::size_t always_handed = 3;

/// Gives `one` a number that is none of `numbers`, and above those of standard input, output and error.
void move_off(descriptor& one, std::span<const int> numbers) {
    std::vector<descriptor> in_the_way;
    while (one.get() <= STDERR_FILENO ||
           std::find(numbers.begin(), numbers.end(), one.get()) != numbers.end()) {
        descriptor copy(checked("fcntl", ::fcntl(one.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1)));
        std::swap(one, copy);
        in_the_way.push_back(std::move(copy));
    }
}

/// Gives each kept descriptor the number that it has in the application. All are moved out of the way before.
void place_kept(const portable_pool& order, std::vector<descriptor>& received) {
    for (descriptor& one : received) {
        move_off(one, std::span(order.kept).first(order.kept_count));
    }
    for (std::size_t i = 0; i < order.kept_count; ++i) {
        checked("dup2", ::dup2(received[received.size() - order.kept_count + i].get(), order.kept[i]));
    }
}

/// In a child of the launcher: becomes the fork server of one pool. `received`: socket, lifeline, mapping,
/// and those that are kept.
[[noreturn]] void become_fork_server(const portable_pool& order, std::vector<descriptor> received,
                                     descriptor application) {
    received.insert(received.begin() + always_handed, std::move(application));
    place_kept(order, received);
    const pool_options options = options_of(order);
    const rings shared(options, order.first, std::move(received[2]));
    std::vector<std::byte> state(order.state.begin(),
                                 order.state.begin() + static_cast<std::ptrdiff_t>(order.state_bytes));
    const worker_body body = [&](worker_call& call) { order.run(state.data(), call); };
    const worker_main main = [&](std::uint32_t seat, std::uint32_t incarnation) {
        return live_as_worker_process(shared, options, body, {.seat = seat, .incarnation = incarnation});
    };
    run_fork_server({.socket = received[0].get(),
                     .lifeline = received[1].get(),
                     .application = received[always_handed].get(),
                     .keep = options.keep_descriptors,
                     .stderr_tail_bytes = options.stderr_tail_bytes,
                     .hook = options.testing.hook,
                     .main = main});
}

class launcher {
public:
    launcher(descriptor socket, int parent_pid)
        : socket_(std::move(socket)) {
        become_helper_process(socket_.get(), -1, {});
        name_process("forkflow-launch");
        ::signal(SIGCHLD, SIG_IGN); // fork servers are watched by pidfd, and nobody waits for them
        application_ = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, parent_pid, 0U)));
        gone_ = ::getppid() != parent_pid; // it died before the line above
    }

    /// Until the application has closed the socket or died.
    void serve() {
        while (!gone_) {
            pollfd watched[2] = {{socket_.get(), POLLIN, 0}, {application_.get(), POLLIN, 0}};
            gone_ = wait_for_any(watched, -1) ? watched[1].revents != 0 : has_ended(application_);
            if (!gone_ && is_asked()) {
                take_order();
            }
        }
    }

private:
    /// Or the other end is closed. Does not wait.
    [[nodiscard]] bool is_asked() const {
        std::byte first{};
        return uninterrupted([&] { return ::recv(socket_.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT); }) !=
                   -1 ||
               errno != EAGAIN;
    }

    void take_order() {
        launch_order order;
        received_packet packet = receive_packet(socket_.get(), std::as_writable_bytes(std::span(&order, 1)));
        if (packet.size_bytes != sizeof order) {
            gone_ = true; // end of file
            return;
        }
        launch_answer answer{.ticket = order.ticket};
        descriptor made;
        const portable_pool& pool = order.pool;
        if (packet.descriptors.size() != always_handed + pool.kept_count) {
            answer.error = EMFILE; // the kernel hands over no more than there is room for
        } else if (!is_code_loaded(pool)) {
            answer.error = launch_answer::unknown_code;
        } else {
            at(step::launcher_asked, pool);
            made = fork_one(pool, packet);
            answer.error = made ? 0 : errno;
        }
        packet.descriptors.clear();
        const int number = made.get();
        send_packet(socket_.get(), std::as_bytes(std::span(&answer, 1)),
                    made ? std::span(&number, 1) : std::span<const int>());
        if (made) {
            at(step::launcher_answered, pool);
        }
    }

    static void at(step here, const portable_pool& order) {
        if (order.hook != nullptr) {
            order.hook(here, 0);
        }
    }

    /// errno tells why there is none.
    descriptor fork_one(const portable_pool& order, received_packet& packet) {
        ::signal(SIGCHLD, SIG_DFL); // one that dies at once is still there to be named by a pidfd
        const pid_t pid = ::fork();
        int error = errno;
        descriptor made;
        if (pid == 0) {
            try {
                socket_.reset();
                become_fork_server(order, std::move(packet.descriptors), std::move(application_));
            } catch (...) { // the application sees the end of file
                ::_exit(1);
            }
        } else if (pid > 0) {
            at(step::launcher_forked, order);
            made = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
            error = errno;
        }
        ::signal(SIGCHLD, SIG_IGN);
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        } // who died while it was not ignored
        errno = error;
        return made;
    }

    descriptor socket_;
    descriptor application_;
    bool gone_ = false;
};

} // namespace
} // namespace nodes

fork_server::fork_server() {
    int pair[2] = {-1, -1};
    nodes::checked("socketpair", ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    socket_ = nodes::descriptor(pair[0]);
    nodes::descriptor other_end(pair[1]);
    process_ = nodes::fork_helper([&](int parent_pid) {
        try {
            socket_.reset();
            nodes::launcher(std::move(other_end), parent_pid).serve();
            ::_exit(0);
        } catch (...) { // the application sees the end of file
            ::_exit(1);
        }
    });
}

fork_server::~fork_server() {
    nodes::tell_helper_to_go(socket_, process_);
    socket_.reset();
    nodes::wait_for_helper(process_);
}

namespace {

using clock = std::chrono::steady_clock;

/// Waits until the launcher's socket lets what `events` say; throws if it does not until `end`.
void wait_for_launcher(const nodes::descriptor& socket, short events, clock::time_point end) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now());
    pollfd watched{socket.get(), events, 0};
    if (nodes::uninterrupted([&] {
            return ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        }) == 0) {
        throw std::system_error(ETIMEDOUT, std::system_category(),
                                "forkflow::fork_server does not answer (somebody may have stopped it)");
    }
}

} // namespace

nodes::descriptor fork_server::launch(const nodes::portable_pool& order, std::span<const int> handed) {
    const std::scoped_lock lock(asking_);
    const clock::time_point end = clock::now() + nodes::helper_patience;
    const auto asked =
        std::make_unique<nodes::launch_order>(nodes::launch_order{.ticket = ++tickets_, .pool = order});
    wait_for_launcher(socket_, POLLOUT, end); // older orders may fill the socket
    nodes::send_packet(socket_.get(), std::as_bytes(std::span(asked.get(), 1)), handed, end);
    nodes::launch_answer answer;
    nodes::received_packet packet;
    do { // an older ticket: nobody waits for that any more
        wait_for_launcher(socket_, POLLIN, end);
        packet = nodes::receive_packet(socket_.get(), std::as_writable_bytes(std::span(&answer, 1)));
    } while (packet.size_bytes == sizeof answer && answer.ticket != asked->ticket);
    if (packet.size_bytes != sizeof answer) {
        throw std::system_error(EPIPE, std::system_category(), "forkflow::fork_server is gone; recvmsg");
    }
    if (answer.error == nodes::launch_answer::unknown_code) {
        throw std::invalid_argument("forkflow::pool_options::server was started before the code of the body, "
                                    "of worker_init or of sandbox was loaded");
    }
    if (answer.error != 0 || packet.descriptors.empty()) {
        // The kernel drops a descriptor for which this process has no number left.
        throw std::system_error(answer.error != 0 ? answer.error : EMFILE, std::system_category(),
                                "fork in forkflow::fork_server");
    }
    return std::move(packet.descriptors.front());
}

} // namespace forkflow
