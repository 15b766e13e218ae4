// SPDX-License-Identifier: MIT
// The worker: takes requests, runs the body, hands in results. Its half of the protocol, whether it is a
// process or, in tests, a thread.
#pragma once

#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/steps.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <optional>

namespace forkflow::nodes {

/// One incarnation of one seat. Used by one thread. What it shares with others is in the rings.
class worker {
public:
    struct identity {
        std::uint32_t seat;
        std::uint32_t incarnation;
    };

    worker(const rings& shared, const pool_options& options, const worker_body& body, const step_hook& hook,
           identity self);

    /// Runs worker_init. False: it threw; what it threw is in the seat's last words.
    [[nodiscard]] bool initialise();
    /// After initialise: handles messages until the pool stops or `recycle_after` is reached. Throws
    /// worker_killed, if a hook does, and std::logic_error if somebody else changed what only this worker may
    /// change.
    void run();

private:
    [[nodiscard]] std::optional<sequence> find_work();
    [[nodiscard]] std::optional<sequence> claim();
    [[nodiscard]] std::uint64_t oldest() const;
    [[nodiscard]] sequence at_cursor() const;
    void look_from_oldest();
    [[nodiscard]] bool stopping() const;
    void sleep();
    void handle(sequence number);
    std::optional<failure> run_body(worker_call& call);
    void write_outcome(const byte_writer& result, const std::optional<failure>& failed);
    void await_admission();
    void publish();
    [[nodiscard]] bool is_admitted() const;
    void wait_until_admitted();
    std::int64_t stop_clock();
    void restart_clock(std::int64_t used_ns);
    void at(step here) const;

    const rings& shared_;
    const pool_options& options_;
    const worker_body& body_;
    const step_hook& hook_;
    identity self_;
    seat_block& seat_;
    /// A hint, counted from the first message without wrapping: what is older was taken when this worker
    /// looked.
    std::uint64_t cursor_ = 0;
    std::uint32_t reopened_ = 0; ///< parent_block::reopened when it last looked from the oldest on
    state_word claim_;           ///< the state word that this worker's claim wrote
    bool admitted_ = false;      ///< the claimed message's result may be written
};

} // namespace forkflow::nodes
