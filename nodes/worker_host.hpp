// SPDX-License-Identifier: MIT
// What makes and ends workers, and tells of their deaths. Processes in earnest; threads in tests of the
// protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace forkflow::nodes {

/// Runs one worker to its end and returns its exit status. Called in the new worker.
using worker_main = std::function<int(std::uint32_t seat, std::uint32_t incarnation)>;

/// What a host tells.
struct host_event {
    enum class kind : std::uint32_t {
        died,    ///< the worker is gone and reaped: it can never again touch the rings
        refused, ///< the worker could not be made; `error` is the errno
        closed,  ///< the host is gone, and so are all its workers; no event follows
        quiet,   ///< nothing happened within the time given
    };
    kind what = kind::quiet;
    std::uint32_t seat = 0;
    std::uint32_t incarnation = 0;
    int pid = 0;
    int signal = 0; ///< the signal that killed the worker; 0: it exited
    int status = 0; ///< its exit status, if it exited
    int error = 0;
    std::uint64_t peak_memory_kib = 0;
    std::string stderr_tail{}; ///< what the worker wrote last to its standard error, if that is kept
};

/// Makes workers. One thread calls next_event; start, kill, close and interrupt may be called from any
/// thread. Requests are carried out in order.
class worker_host {
public:
    virtual ~worker_host() = default;

    /// Asks for a worker. Its death, or that it could not be made, will be told.
    virtual void start(std::uint32_t seat, std::uint32_t incarnation) = 0;
    /// Kills the worker, with its process group, if it still lives. Its death will be told.
    virtual void kill(std::uint32_t seat, std::uint32_t incarnation) = 0;
    /// Kills all workers and ends the host; `closed` will be told.
    virtual void close() = 0;
    /// Lets the host go on if somebody has stopped it: a death may be waiting to be told.
    virtual void wake() {}
    /// Lets next_event return early.
    virtual void interrupt() = 0;
    /// Waits for an event, at most `patience_ns` (negative: for ever).
    virtual host_event next_event(std::int64_t patience_ns) = 0;
    /// After `closed` was told, though nobody called close: begins anew, without workers. False: it cannot.
    virtual bool restart() { return false; }
};

/// Makes a host whose workers run `main`.
using host_factory = std::function<std::unique_ptr<worker_host>(worker_main main)>;

} // namespace forkflow::nodes
