// SPDX-License-Identifier: MIT
// The pool with types: messages in, outcomes out, in order. What node and queue have in common.
#pragma once

#include <forkflow/buffer.hpp>
#include <forkflow/detail/body_call.hpp>
#include <forkflow/failure.hpp>
#include <forkflow/nodes/demangle.hpp>
#include <forkflow/nodes/exception_text.hpp>
#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/message_memory.hpp>
#include <forkflow/nodes/pool.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace forkflow::detail {

/// What became of a message: exactly one of the two is set.
template <class Output>
struct taken_outcome {
    std::optional<Output> value;
    std::optional<failure> failed; ///< only if Output cannot hold a failure
    nodes::pool::fate counted_as = nodes::pool::fate::failure;
};

/// The body's side of a stream, with the body's type forgotten.
template <class Input, class Output>
struct call_table {
    bool has_markers;
    bool (*is_marker)(const Input&) noexcept;
    void (*encode_request)(writer&, const Input&);
    Output (*decode_result)(reader&);
    void (*keep)(std::optional<Input>& place, const Input& marker); ///< null without markers, as the next
    Output (*pass)(Input&&);
};

/// A pool of workers that run a body from Input to Output. Thread safety and errors as nodes::pool.
template <class Input, class Output>
class message_stream {
public:
    using outcome_type = taken_outcome<Output>;

    template <class Body>
    message_stream(const pool_options& options, Body body, std::function<void()> on_progress)
        : call_(table_for<Body>())
        , pool_(
              options,
              [body](nodes::worker_call& call) mutable { call_of<Input, Output, Body>::run(body, call); },
              std::move(on_progress), portable(options, body))
        , markers_(call_.has_markers ? pool_.capacity() : 0) {}

    /// A number for `message`, if the bounds allow it. Never blocks. The caller must fill it.
    [[nodiscard]] std::optional<nodes::sequence> try_reserve(const Input& message) {
        return pool_.try_reserve(kind_of(message));
    }
    /// Numbers for as many of the messages at(0), …, at(most - 1) as the bounds allow; `most` is
    /// most_reserved_at_once or less.
    template <class At>
    [[nodiscard]] nodes::reserved_run try_reserve_run(At&& at, std::size_t most) {
        std::array<nodes::message_kind, most_reserved_at_once> kinds{};
        for (std::size_t i = 0; i < most; ++i) {
            kinds[i] = kind_of(at(i));
        }
        return pool_.try_reserve(std::span(kinds).first(most));
    }
    static constexpr std::size_t most_reserved_at_once = 32;

    /// Hands over the message that the number was reserved for. A codec that throws makes it a failure.
    void fill(nodes::sequence number, const Input& message) {
        if (call_.is_marker(message)) {
            try {
                call_.keep(marker_at(number), message);
                pool_.commit_marker(number);
            } catch (...) {
                pool_.commit_failure(number, failure_of_codec(failure_kind::not_encodable));
            }
            return;
        }
        std::optional<failure> refused;
        nodes::byte_writer request = pool_.writer(number);
        try {
            call_.encode_request(request, message);
        } catch (const nodes::no_message_memory& missing) {
            refused = nodes::told([&] {
                return failure{
                    .kind = failure_kind::no_memory, .size_bytes = missing.bytes(), .what = missing.what()};
            });
        } catch (...) {
            refused = failure_of_codec(failure_kind::not_encodable);
        }
        if (refused) {
            pool_.commit_failure(number, std::move(*refused));
        } else {
            pool_.commit_request(number, request);
        }
    }

    /// A buffer of `bytes`; nothing if options.buffer_bytes leave no room for it until `deadline`. Throws
    /// std::bad_alloc if the system has no memory. Thread-safe.
    [[nodiscard]] std::optional<buffer> make_buffer_until(std::size_t bytes,
                                                          std::chrono::steady_clock::time_point deadline) {
        auto block = pool_.buffers().allocate_until(bytes, deadline);
        if (!block) {
            return std::nullopt;
        }
        const std::span<std::byte> pages = block->pages();
        return buffer(std::move(block), pages.first(bytes));
    }
    /// The same, and does not wait.
    [[nodiscard]] std::optional<buffer> try_make_buffer(std::size_t bytes) {
        return make_buffer_until(bytes, std::chrono::steady_clock::time_point::min());
    }
    /// From now on nobody waits for room for a buffer. Thread-safe.
    void end_waits_for_buffers() { pool_.buffers().end_waits(); }
    /// The same; throws std::bad_alloc if there is no room.
    [[nodiscard]] buffer make_buffer(std::size_t bytes) {
        std::optional<buffer> made = try_make_buffer(bytes);
        if (!made) {
            throw std::bad_alloc();
        }
        return std::move(*made);
    }

    /// Takes the next outcome into `taken`, if it is there. Never blocks. As collecting in nodes::pool.
    bool try_take(std::optional<taken_outcome<Output>>& taken) {
        const std::optional<nodes::waiting_outcome> next = pool_.peek();
        if (!next) {
            return false;
        }
        look_at(*next, taken.emplace());
        pool_.release(taken->counted_as);
        return true;
    }

    /// The same in two steps: appends the outcomes that are there to `run`, until it has `most`, or much
    /// memory. They go on counting as inside until each is released, in order; what their requests held is
    /// let go.
    void take_run(std::vector<taken_outcome<Output>>& run, std::size_t most) {
        constexpr std::size_t much_bytes = std::size_t{64} << 10U;
        for (std::size_t bytes = 0; run.size() < most && bytes < much_bytes;) {
            const auto next = pool_.peek(static_cast<std::uint32_t>(run.size()));
            if (!next) {
                return;
            }
            bytes += next->payload.size();
            look_at(*next, run.emplace_back());
            pool_.let_go_of_request(next->number);
        }
    }
    void release(const taken_outcome<Output>& taken) { pool_.release(taken.counted_as); }

    /// Throws the next outcome away, if it is there.
    bool try_drop() {
        const std::optional<nodes::waiting_outcome> next = pool_.peek();
        if (!next) {
            return false;
        }
        if (next->state == nodes::message_state::marker) {
            if (has_marker(*next)) {
                marker_at(next->number).reset();
            }
        } else if (nodes::pool::is_failure(*next)) {
            (void)pool_.take_failure(*next);
        }
        pool_.release(nodes::pool::fate::dropped);
        return true;
    }

    // As in nodes::pool.
    [[nodiscard]] nodes::polite_mutex& collecting() const noexcept { return pool_.collecting(); }
    [[nodiscard]] bool rest() { return pool_.rest(); }
    void disarm() { pool_.disarm(); }
    [[nodiscard]] bool look_out() { return pool_.look_out(); }
    [[nodiscard]] bool
    wait_a_moment(std::unique_lock<nodes::polite_mutex>& collecting,
                  nodes::spinner::time_point deadline = nodes::spinner::time_point::max()) {
        return pool_.wait_a_moment(collecting, deadline);
    }
    /// The same, while no more than one message is inside.
    [[nodiscard]] bool wait_for_single(std::unique_lock<nodes::polite_mutex>& collecting) {
        return pool_.wait_a_moment(collecting, nodes::spinner::time_point::max(), 1);
    }
    [[nodiscard]] bool has_room(std::size_t more) { return pool_.has_room(more); }
    [[nodiscard]] bool arm_for_room(nodes::room_ring when) { return pool_.arm_for_room(when); }
    [[nodiscard]] std::size_t in_flight() const noexcept { return pool_.in_flight(); }
    void withdraw() { pool_.withdraw(); }
    void ring() const { pool_.ring(); }
    void stop() noexcept { pool_.stop(); }
    [[nodiscard]] const pool_options& options() const noexcept { return pool_.options(); }
    void expect_cancel() { pool_.expect_cancel(); }
    [[nodiscard]] bool take_cancel_look() { return pool_.take_cancel_look(); }

    [[nodiscard]] statistics snapshot() const { return pool_.snapshot(); }
    /// The same, for who holds collecting. `emitted`: those of a run that have been emitted and not released.
    [[nodiscard]] statistics snapshot_while_collecting(std::span<const outcome_type> emitted) const {
        statistics now = pool_.snapshot_while_collecting();
        for (const outcome_type& one : emitted) {
            using fate = nodes::pool::fate;
            ++(one.counted_as == fate::result   ? now.results
               : one.counted_as == fate::marker ? now.markers
                                                : now.failures);
        }
        now.emitted += emitted.size();
        std::size_t left = emitted.size(); // all finished, unless a wild worker has changed a word since
        for (std::size_t* const part : {&now.finished, &now.running, &now.waiting}) {
            const std::size_t of_part = std::min(*part, left);
            *part -= of_part;
            left -= of_part;
        }
        now.in_flight = now.waiting + now.running + now.finished;
        now.received = now.emitted + now.in_flight;
        return now;
    }

private:
    [[nodiscard]] nodes::message_kind kind_of(const Input& message) const {
        return call_.is_marker(message) ? nodes::message_kind::marker : nodes::message_kind::request;
    }

    template <class Body>
    static call_table<Input, Output> table_for() {
        using call = call_of<Input, Output, Body>;
        call_table<Input, Output> table{.has_markers = call::has_markers,
                                        .is_marker = call::is_marker,
                                        .encode_request = call::encode_request,
                                        .decode_result = call::decode_result,
                                        .keep = nullptr,
                                        .pass = nullptr};
        if constexpr (call::has_markers) { // otherwise an Input need not be copyable
            table.keep = [](std::optional<Input>& place, const Input& marker) { place.emplace(marker); };
            table.pass = call::pass;
        }
        return table;
    }

    /// Nothing, if no other process is to run the body or its bytes mean nothing there.
    template <class Body>
    static nodes::portable_body portable(const pool_options& options, const Body& body) {
        nodes::portable_body made;
        if constexpr (std::is_trivially_copyable_v<Body> && alignof(Body) <= alignof(std::max_align_t)) {
            if (options.server != nullptr) {
                made.run = [](void* state, nodes::worker_call& call) {
                    call_of<Input, Output, Body>::run(*static_cast<Body*>(state), call);
                };
                made.state.resize(sizeof body);
                std::memcpy(made.state.data(), std::addressof(body), sizeof body);
                if constexpr (std::is_function_v<std::remove_pointer_t<Body>>) {
                    made.function = reinterpret_cast<void (*)()>(body);
                }
            }
        }
        return made;
    }

    void look_at(const nodes::waiting_outcome& next, taken_outcome<Output>& taken) {
        if (nodes::pool::is_failure(next)) {
            put_failure(taken, pool_.take_failure(next));
        } else if (next.state == nodes::message_state::marker) {
            pass_marker(next, taken);
        } else {
            decode(next, taken);
        }
    }

    /// False if a worker has changed the message's state: there is no marker.
    bool has_marker(const nodes::waiting_outcome& next) {
        return !markers_.empty() && marker_at(next.number).has_value();
    }

    void pass_marker(const nodes::waiting_outcome& next, taken_outcome<Output>& taken) {
        if (!has_marker(next)) {
            put_failure(taken, nodes::pool::corrupted(next));
            return;
        }
        std::optional<Input>& marker = marker_at(next.number);
        try {
            taken.value.emplace(call_.pass(std::move(*marker)));
            taken.counted_as = nodes::pool::fate::marker;
        } catch (...) { // it may be moved from by half
            put_not_decodable(taken, next);
        }
        marker.reset();
    }

    std::optional<Input>& marker_at(nodes::sequence number) {
        return markers_[number & (markers_.size() - 1)];
    }

    /// To be called while an exception is handled.
    static failure failure_of_codec(failure_kind kind) noexcept {
        return nodes::told([kind] {
            failure found{.kind = kind};
            try {
                throw;
            } catch (const std::exception& thrown) {
                found.exception_type = nodes::demangled(typeid(thrown).name());
                found.what = nodes::text_of(thrown);
            } catch (...) {
                found.exception_type = "an exception that is no std::exception";
            }
            return found;
        });
    }

    static void put_failure(taken_outcome<Output>& taken, failure outcome) {
        if constexpr (is_alternative<failure, Output> || std::is_same_v<failure, Output>) {
            taken.value.emplace(std::move(outcome));
        } else {
            taken.failed.emplace(std::move(outcome));
        }
    }

    /// To be called while an exception is handled.
    static void put_not_decodable(taken_outcome<Output>& taken, const nodes::waiting_outcome& next) {
        failure found = failure_of_codec(failure_kind::not_decodable);
        found.sequence = next.number;
        found.attempts = next.attempts;
        put_failure(taken, std::move(found));
    }

    void decode(const nodes::waiting_outcome& next, taken_outcome<Output>& taken) {
        try {
            nodes::copied_blocks copied;
            nodes::byte_reader result(next.payload, {}, pool_.options().verify_results ? &copied : nullptr);
            taken.value.emplace(call_.decode_result(result));
            taken.counted_as = nodes::pool::fate::result;
            if (!pool_.is_intact(next, copied)) {
                taken.value.reset();
                taken.counted_as = nodes::pool::fate::failure;
                put_failure(taken, nodes::pool::overwritten(next));
            }
        } catch (...) {
            put_not_decodable(taken, next);
        }
    }

    const call_table<Input, Output> call_;
    nodes::pool pool_;
    std::vector<std::optional<Input>>
        markers_; ///< by number; written by its reserver, taken by the collector
};

} // namespace forkflow::detail
