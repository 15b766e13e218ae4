// SPDX-License-Identifier: MIT
// forkflow::ordered_process_queue: messages in, outcomes out in the same order, and in between a body that
// runs in other processes. Without a graph, and without oneTBB.
//
//     forkflow::ordered_process_queue queue(4, [](const std::string& text) { return text.size(); });
//     std::thread producer([&] {
//         for (std::string line; std::getline(std::cin, line);) queue.put(line);
//         queue.stop();
//     });
//     for (std::size_t length : queue) std::cout << length << '\n';
//     producer.join();
#pragma once

#include <forkflow/buffer.hpp>
#include <forkflow/call.hpp>
#include <forkflow/codec.hpp>
#include <forkflow/detail/blocking_queue.hpp>
#include <forkflow/detail/deadline.hpp>
#include <forkflow/failure.hpp>
#include <forkflow/get_result.hpp>
#include <forkflow/pool_options.hpp>
#include <forkflow/statistics.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

namespace forkflow {

/// A queue whose messages pass through a body in worker processes, and whose outcomes leave in the order in
/// which the messages arrived.
///
/// **Messages.** Input and what the body returns must have a codec (forkflow/codec.hpp). If Input is a
/// std::variant, an alternative that the body cannot be called with is a *marker*: it stays in this process
/// and passes through, unchanged and in its place; Output must be able to hold it. If Input is a call<R>, or
/// has such alternatives, the queue can be made without a body: each message then is its own.
///
/// **Failures.** A message whose body throws, whose worker dies, or which cannot be encoded, decoded or held,
/// has a failure for an outcome. If forkflow::failure is among Output's alternatives (or is Output), get
/// returns it; if not, get throws process_error in its place, and the next get goes on with the next outcome.
///
/// **Bounds.** At most options.requests messages wait for a worker or run, and at most options.window results
/// wait for their turn; options.window_bytes bounds the bytes of both. Beyond that, put waits and try_put
/// refuses.
///
/// **Waiting.** Time-outs are of any duration type; zero or less means not to wait, and what lies beyond the
/// clock's reach means for ever. Who waits looks for a moment (options.spin, in get), then sleeps. put goes
/// on about a millisecond after there is room, or sooner: threads are not woken for each place.
///
/// **Thread safety.** Every member may be called by any number of threads at the same time, but for
/// constructor and destructor. Messages that are put at the same time are ordered as they are accepted.
///
/// **Forking.** The constructor forks once. What other threads of the program have locked at that moment
/// stays locked in the workers (but glibc's malloc and stdio), so make queues before you start threads.
///
/// **Cost.** One copy of the encoded message each way. Two background threads and one process beside the
/// workers; all of them sleep while the queue is idle.
template <class Input, class Output>
class ordered_process_queue {
public:
    using input_type = Input;
    using output_type = Output;
    class iterator;

    /// A queue whose pool is made as `options` say. Throws std::invalid_argument and std::system_error.
    template <class Body>
    ordered_process_queue(pool_options options, Body body)
        : queue_(std::move(options), std::move(body)) {}

    /// A queue with `workers` worker processes (0: one per CPU that this process may use), and the default
    /// for all else. Throws the same.
    template <class Body>
    ordered_process_queue(std::size_t workers, Body body)
        : queue_(with_workers(workers), std::move(body)) {}

    /// A queue whose messages are calls: each brings the function that is to be run. Throws the same.
    explicit ordered_process_queue(pool_options options) requires detail::has_calls<Input>
        : ordered_process_queue(std::move(options), run_call()) {}
    explicit ordered_process_queue(std::size_t workers) requires detail::has_calls<Input>
        : ordered_process_queue(workers, run_call()) {}

    /// Waits options.linger at the most for what is inside (0: not at all), then kills the workers. Outcomes
    /// are dropped. No other member may be running. Beyond that time a stopped or hanging worker is not
    /// waited for.
    ~ordered_process_queue() = default;
    ordered_process_queue(const ordered_process_queue&) = delete;
    ordered_process_queue& operator=(const ordered_process_queue&) = delete;

    // --- putting

    /// Puts `message` at the end, and waits for room at most `timeout`. False: there was no room in time, or
    /// the queue is stopped; the message then has used up no number. A codec that throws makes the message a
    /// failure.
    template <class Rep, class Period>
    bool put(const Input& message, std::chrono::duration<Rep, Period> timeout) {
        return queue_.put_until(message, detail::deadline_after(timeout));
    }
    /// The same, and waits for room as long as it takes. False: the queue is stopped.
    bool put(const Input& message) { return queue_.put_until(message, time_point::max()); }
    /// The same, and does not wait.
    bool try_put(const Input& message) { return queue_.put_until(message, time_point::min()); }

    /// A buffer of `bytes`, with any contents, for messages to this queue: see forkflow/buffer.hpp. Throws
    /// std::bad_alloc if the system has no memory, or options.buffer_bytes leave no room: outcomes that are
    /// out and copies that are gone make it. Thread-safe. Cost: a system call, and a page fault for each page
    /// that was not used lately.
    [[nodiscard]] buffer make_buffer(std::size_t bytes) { return queue_.make_buffer(bytes); }
    /// The same, but nothing if options.buffer_bytes leave no room.
    [[nodiscard]] std::optional<buffer> try_make_buffer(std::size_t bytes) {
        return queue_.make_buffer_until(bytes, time_point::min());
    }
    /// The same, but waits for room at most `timeout`. Nothing: there was none in time, there can never be so
    /// much, or the queue is stopped. Somebody else must get meanwhile: who waits here gets nothing. Of
    /// several who wait, one who needs less may be served earlier.
    template <class Rep, class Period>
    [[nodiscard]] std::optional<buffer> make_buffer(std::size_t bytes,
                                                    std::chrono::duration<Rep, Period> timeout) {
        return queue_.make_buffer_until(bytes, detail::deadline_after(timeout));
    }

    // --- getting

    /// The next outcome in arrival order; waits for it at most `timeout`. Without an outcome, the result says
    /// whether it has not come in time or the stream has ended: the queue is stopped, and every outcome was
    /// got. Throws process_error for a failure that Output cannot hold, and what moving the outcome throws.
    template <class Rep, class Period>
    [[nodiscard]] get_result<Output> get(std::chrono::duration<Rep, Period> timeout) {
        return queue_.get_until(detail::deadline_after(timeout));
    }
    /// The same, and waits as long as it takes: without an outcome, the stream has ended.
    [[nodiscard]] get_result<Output> get() { return queue_.get_until(time_point::max()); }
    /// The same, and does not wait.
    [[nodiscard]] get_result<Output> try_get() { return queue_.get_until(time_point::min()); }

    /// For range-based for loops, which get each outcome until the stream ends. A loop gets what other
    /// getters leave it.
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

    // --- the end

    /// Closes the input, and returns at once: from now on put is false, also for those who wait in it. What
    /// is inside comes out; then the stream has ended.
    void stop() { queue_.close(); }
    /// Whether stop was called.
    [[nodiscard]] bool is_stopped() const noexcept { return queue_.closed(); }

    /// Waits until every message that is inside at this moment has been run, at most `timeout`. False: it was
    /// not in time. Does not need anybody to get: outcomes for which the window has no room are set aside
    /// here, in their order, for later calls of get. They go on counting, so never more than requests +
    /// window messages are inside. `statistics` shows them as emitted. Throws std::bad_alloc if there is no
    /// memory for what is set aside, and what moving an outcome throws.
    template <class Rep, class Period>
    bool join(std::chrono::duration<Rep, Period> timeout) {
        return queue_.join_until(detail::deadline_after(timeout));
    }
    /// The same, and waits as long as it takes.
    void join() { queue_.join_until(time_point::max()); }

    /// Whether outcomes can still come: false once the stream has ended.
    [[nodiscard]] bool is_alive() const { return queue_.alive(); }

    // --- looking

    /// A file descriptor for poll, epoll and the like, which is readable as long as there is an outcome to
    /// get, or the stream has ended. Level-triggered: it stays readable until the last outcome that is there
    /// was got. Do not read, write or close it; use try_get when it is readable, as another getter may have
    /// been faster. The same at each call, and the queue's own. Made by the first call, which may throw
    /// std::system_error; from then on each get that finds the queue empty or not empty any more costs a
    /// system call.
    [[nodiscard]] int readable_descriptor() { return queue_.readable_descriptor(); }

    /// One consistent snapshot. Cost: one look at each message in flight.
    [[nodiscard]] forkflow::statistics statistics() const { return queue_.snapshot(); }

private:
    using time_point = std::chrono::steady_clock::time_point;

    static pool_options with_workers(std::size_t workers) {
        pool_options options;
        options.workers = workers;
        return options;
    }

    detail::blocking_queue<Input, Output> queue_;
};

/// An input iterator over the outcomes of a queue. Holds the outcome that was got last. Movable if Output is.
template <class Input, class Output>
class ordered_process_queue<Input, Output>::iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = Output;
    using difference_type = std::ptrdiff_t;

    /// Gets the first outcome, as get does.
    explicit iterator(ordered_process_queue& from)
        : from_(&from) {
        ++*this;
    }

    [[nodiscard]] Output& operator*() const noexcept { return *current_; }
    /// Gets the next outcome; throws what get throws.
    iterator& operator++() {
        get_result<Output> next = from_->get();
        current_.reset(); // not assigned: an Output may be nothing that can be
        if (next) {
            current_.emplace(*std::move(next));
        }
        return *this;
    }
    void operator++(int) { ++*this; }
    [[nodiscard]] bool operator==(std::default_sentinel_t /*end*/) const noexcept {
        return !current_.has_value();
    }

private:
    ordered_process_queue* from_;
    mutable std::optional<Output> current_; ///< an iterator's constness is not that of what it shows
};

template <detail::has_signature Body>
ordered_process_queue(std::size_t, Body)
    -> ordered_process_queue<detail::input_of<Body>, detail::output_of<Body>>;
template <detail::has_signature Body>
ordered_process_queue(pool_options, Body)
    -> ordered_process_queue<detail::input_of<Body>, detail::output_of<Body>>;

} // namespace forkflow
