// SPDX-License-Identifier: MIT
// The options of a pool of worker processes.
#pragma once

#include <forkflow/nodes/testing.hpp>
#include <forkflow/nodes/worker_limits.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace forkflow {

class fork_server;

/// How a pool of workers is made. An aggregate: use designated initialisers. A value out of its range makes
/// the constructor that takes the options throw std::invalid_argument, which names field, value and range.
struct pool_options {
    /// Worker processes, 1 to 1023 (1022 if workers are recycled). 0: as many as CPUs that this process may
    /// use. A worker that finds itself on one CPU with another of the pool, while one that it may use has
    /// none, moves there: by sched_setaffinity, for a moment; afterwards it may run where it might before.
    /// Not if a seccomp filter is in force, nor with a sandbox.
    std::size_t workers = 0;
    /// The reorder window: at most so many results wait for their turn. 1 to 1'048'576; 0: 10 × workers. Of
    /// one worker all of them, if there are up to four workers, else four times its share (or 16, if that is
    /// more): a worker that is so far ahead leaves messages to the others. Their places, and those of as many
    /// requests, take 1 to 3 KiB each of memory from the start, if there are 8 × workers or more; else up to
    /// 16 KiB for each worker. Each request beyond that takes 0.7 KiB.
    std::size_t window = 0;
    /// At most so many messages wait for a worker or run. 1 to 1'048'576; 0: as many as the window.
    std::size_t requests = 0;
    /// The largest encoded request or result, in bytes, 1 to 1 GiB. It takes address space, not memory, until
    /// it is used: once for each request and twice for each place of the window; if the system has no such
    /// space, the constructor throws std::system_error. A larger message becomes a failure (too_large).
    std::size_t max_message_bytes = std::size_t{1} << 20U;
    /// At most so many bytes of encoded requests are inside, and at most so many bytes of results wait for
    /// their turn: 1 byte to 64 TiB; the two are bounded apart. While they are used up there is no room, as
    /// if `requests` or `window` were; one message may exceed each of the two, as sizes are known late.
    /// Results of up to 256 bytes do not count, others do in whole pages. A message that is larger by itself
    /// is a failure (too_large). 0: only max_message_bytes and the counts are bounds.
    std::size_t window_bytes = 0;
    /// At most so many bytes of buffers (forkflow/buffer.hpp) exist at a time, to 64 TiB; each takes whole
    /// pages. Address space, not memory, until used. 0: as much as requests + window of the largest messages.
    std::size_t buffer_bytes = 0;
    /// Each worker hands in a checksum with its result, and the parent verifies it once it has decoded the
    /// result. No worker can write to another's results, whatever this is; but what it has handed in itself
    /// lies in its memory until it leaves, and what it has written over does not verify: it is a failure
    /// (not_decodable), not a wrong result. Against bodies that go astray; a hostile one can compute the
    /// checksum. Cost: one more pass over the result's bytes on each side, in the cache where they are copied
    /// (vectors and strings of 32 KiB or more, what a reader's `read` copies). False is for large results of
    /// bodies that do not write through wild pointers.
    bool verify_results = true;
    /// How long one attempt at a message may take; then its worker is killed. 0: as long as it likes.
    std::chrono::nanoseconds deadline{0};
    /// How often a message may be given to a worker before the death of its worker makes it a failure, 1
    /// to 31. With 1, every body starts at most once per message.
    unsigned attempts = 2;
    /// A worker is replaced after so many messages. 0: never. Its replacement is started, and initialised,
    /// while it works on; so it may handle some more. At any time one worker at the most is being replaced.
    std::size_t recycle_after = 0;
    /// A worker that is older is replaced after its next message. 0: never.
    std::chrono::nanoseconds recycle_age{0};
    /// A worker whose private memory has grown by so much since worker_init is replaced. 0: never. Looked at
    /// after messages, at most every 10 ms.
    std::size_t recycle_growth_bytes = 0;
    /// Called once in each worker before its first message. If it throws, dies or hangs again and again, the
    /// pool fails, and says why. With `server` a pointer to a function.
    std::function<void()> worker_init{};
    /// How long worker_init may take; then the worker is killed. 0: as long as it likes.
    std::chrono::nanoseconds init_deadline{std::chrono::minutes(1)};
    /// Called in each worker last of all, after worker_init: for a seccomp filter, or to give up
    /// capabilities. With `server` a pointer to a function. After it forkflow's own part of a worker calls
    /// nothing but futex, exit_group, and, unless spin and window_bytes are 0, sched_yield (and getcpu, where
    /// neither rseq nor the vDSO tells a thread its CPU); for a body that throws, getpid; for one that
    /// crashes, getpid, gettid and tgkill; with recycle_growth_bytes, pread64 and close; where the system had
    /// no memory for a result, rt_sigaction. What malloc calls is the body's (brk, mmap, munmap, mremap,
    /// madvise). Change user and group in worker_init, not here: the kernel then forgets that the worker is
    /// to die with the pool.
    std::function<void()> sandbox{};
    /// What each worker may use.
    worker_limits limits{};
    /// What a worker writes to its standard error is kept, and the last so many bytes of it are put into a
    /// failure (stderr_tail) when it dies. 0: standard error is the application's. At most 32 KiB.
    std::size_t stderr_tail_bytes = 0;
    /// How long the destructor waits for the workers to finish the messages inside, before it kills them. The
    /// outcomes are dropped in either case. 0: it kills at once.
    std::chrono::nanoseconds linger{0};
    /// What happens to bodies that run when a node's graph is cancelled, or ended by an exception. False:
    /// they are finished, their outcomes dropped, and wait_for_all waits for them, as with oneTBB's own
    /// nodes. True: their workers are killed and replaced, so that wait_for_all returns although a body
    /// hangs. oneTBB tells nobody that a graph is cancelled, so the node looks: every 20 ms while messages
    /// are inside; if this is false, only while none leaves, after 20 ms, 40, 80, …, once a second. Queues,
    /// which cannot be cancelled, do not care.
    bool kill_on_cancel = false;
    /// How long a worker without work, and the node's task without an outcome, look again before they sleep.
    /// Less if that was often in vain; 0: not at all. Whoever looks gives way to others each time; but a
    /// worker on another CPU than the node's task does so only after 10 µs. With 50 µs or less the node's
    /// task may sleep for as long in between, while there are workers awake for all CPUs. In an arena of one
    /// thread it looks again only for a message that is alone inside.
    std::chrono::nanoseconds spin{std::chrono::microseconds(50)};
    /// Descriptors that stay open in the workers, beside 0 (which reads /dev/null), 1 and 2. All others of
    /// the application are closed there; a pipe of forkflow's own is open.
    std::vector<int> keep_descriptors{};
    /// Who forks: a process that was forked early (see forkflow/fork_server.hpp), and must outlive the pool;
    /// or, if null, the pool itself, from the program as it is.
    fork_server* server = nullptr;
    /// For forkflow's own tests.
    nodes::test_settings testing{};

    /// True if workers are replaced although nothing is wrong with them.
    [[nodiscard]] bool recycles() const noexcept {
        return recycle_after > 0 || recycle_age.count() > 0 || recycle_growth_bytes > 0;
    }
};

/// Checks `options` and fills in what they leave open. Throws std::invalid_argument. Thread-safe.
[[nodiscard]] pool_options resolved(pool_options options);

namespace nodes {

/// How many CPUs this process may use. Thread-safe.
[[nodiscard]] std::size_t usable_cpus();

} // namespace nodes

} // namespace forkflow
