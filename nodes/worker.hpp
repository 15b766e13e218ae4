// SPDX-License-Identifier: MIT
// The worker: takes requests, runs the body, hands in results. Its half of the protocol, whether it is a
// process or, in tests, a thread.
#pragma once

#include <forkflow/nodes/cpu_spread.hpp>
#include <forkflow/nodes/failure.hpp>
#include <forkflow/nodes/result_places.hpp>
#include <forkflow/nodes/result_room.hpp>
#include <forkflow/nodes/retirement.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/seat_table.hpp>
#include <forkflow/nodes/spinner.hpp>
#include <forkflow/nodes/steps.hpp>
#include <forkflow/nodes/worker_body.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace forkflow::nodes {

/// One incarnation of one seat. Used by one thread. What it shares with others is in the rings.
class worker {
public:
    worker(const rings& shared, const pool_options& options, const worker_body& body, const step_hook& hook,
           worker_identity self);

    /// Runs `prepare`, which makes the surroundings (of a process: its limits), worker_init, and `seclude`,
    /// which closes them. False: one of them threw; what it threw is in the seat's last words.
    [[nodiscard]] bool initialise(const std::function<void()>& prepare = {},
                                  const std::function<void()>& seclude = {});
    /// After initialise: handles messages until the pool stops or another worker has relieved this one.
    /// Throws worker_killed, if a hook does, and std::logic_error if somebody else changed what only this
    /// worker may change.
    void run();

private:
    [[nodiscard]] std::optional<sequence> find_work();
    template <class Ready>
    bool wait_a_moment(spinner& looks, Ready ready);
    [[nodiscard]] std::optional<sequence> look_again_and_sleep();
    [[nodiscard]] std::optional<sequence> claim();
    [[nodiscard]] bool try_claim(sequence number, std::uint64_t bits);
    [[nodiscard]] bool may_claim(const state_word& seen, sequence number) const;
    [[nodiscard]] bool is_wild(const state_word& seen, sequence number) const;
    void relieve() const;
    void ask_for_relief();
    void note_last_words(const char* where) const;
    [[nodiscard]] std::uint64_t oldest() const;
    [[nodiscard]] sequence at_cursor() const;
    void look_from_oldest();
    [[nodiscard]] bool is_to_leave() const;
    void sleep();
    void handle(sequence number);
    std::optional<failure> run_body(worker_call& call);
    [[nodiscard]] byte_writer result_writer();
    [[nodiscard]] byte_writer record_writer();
    void write_outcome(const byte_writer& result, std::optional<failure> failed);
    [[nodiscard]] slot place() const noexcept;
    void await_admission();
    void publish();
    void wait_for_death() const;
    [[nodiscard]] bool is_admitted() const;
    template <class May>
    void wait_until(May may);
    std::size_t ask_for_room(std::size_t bytes);
    std::size_t write_record(const failure& outcome);
    void stop_clock();
    std::int64_t pause_clock();
    void restart_clock(std::int64_t used_ns);
    void at(step here) const;

    const rings& shared_;
    const pool_options& options_;
    const worker_body& body_;
    const step_hook& hook_;
    worker_identity self_;
    seat_block& seat_;
    std::optional<retirement> retirement_; ///< if workers are recycled: since initialise
    bool relief_asked_ = false;
    std::optional<cpu_spread> spread_; ///< unless a filter may kill for its system calls
    spinner for_work_;
    spinner for_admission_;
    std::unique_ptr<std::byte[]> reserve_; ///< with a limit on memory: so that a failure can still be told
    /// A hint, counted from the first message without wrapping: what is older was taken when this worker
    /// looked.
    std::uint64_t cursor_ = 0;
    std::uint32_t reopened_ = 0; ///< parent_block::reopened when it last looked from the oldest on
    state_word claim_;           ///< the state word that this worker's claim wrote
    result_places places_;
    bool confined_ = false; ///< the last look for work found a message for whose result there is no place
    std::optional<result_place> where_; ///< of the claimed message's result: once it may be written
    result_room room_;                  ///< of its extent
    copied_blocks copied_;              ///< of that result
};

} // namespace forkflow::nodes
