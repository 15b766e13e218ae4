// SPDX-License-Identifier: MIT
// Attribution: charges a worker's death to the message that it was running, and gives what it leaves behind
// to its heir.
#pragma once

#include <forkflow/nodes/failure_shelf.hpp>
#include <forkflow/nodes/request_ring.hpp>
#include <forkflow/nodes/seat_table.hpp>
#include <forkflow/nodes/worker_host.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace forkflow::nodes {

/// Used by the supervisor's thread, but for retries(). The only one that takes a claim away from a worker.
class attribution {
public:
    attribution(const rings& shared, unsigned attempts, const request_ring& requests,
                const reorder_window& window, failure_shelf& failures);

    /// To be called once for each worker that is reaped, and before its seat is taken anew. A message that it
    /// owned is charged with an attempt: it is readied for `heir`, or fails with what is known of the death.
    /// What it alone was to take goes to `heir`. `reason`: why it was killed, if we know better than the
    /// signal tells.
    struct settlement {
        bool charged = false;   ///< a message was
        bool inherited = false; ///< `heir` alone can take a message now
    };
    settlement settle(const host_event& death, const worker_identity& heir, std::string_view reason = {});
    /// What a worker that is reaped, and whose seat is not taken anew yet, said of its end; else what is
    /// known.
    [[nodiscard]] std::string last_text(const host_event& death) const;
    /// Lets everything that workers own fail with `reason`. Once all are reaped.
    void fail_all(const failure& reason);

    [[nodiscard]] std::uint64_t retries() const noexcept { return retries_.load(std::memory_order_relaxed); }

private:
    /// True if the message goes to `heir`.
    bool charge(state_word word, const host_event& death, const worker_identity& heir,
                std::string_view reason);
    void pass_on(const state_word& word, const worker_identity& heir);
    [[nodiscard]] failure cause_of(const host_event& death, bool timed_out,
                                   std::string_view reason) const noexcept;
    void tell_of(const host_event& death, std::string_view reason, failure& cause) const;

    const rings& shared_;
    const unsigned attempts_;
    const request_ring& requests_;
    const reorder_window& window_;
    failure_shelf& failures_;
    std::atomic<std::uint64_t> retries_{0};
};

/// "the worker was killed by signal 11 (Segmentation fault)".
[[nodiscard]] std::string words_about(const host_event& death);

} // namespace forkflow::nodes
