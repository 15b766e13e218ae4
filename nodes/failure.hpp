// SPDX-License-Identifier: MIT
// What became of a message that has no result.
#pragma once

#include <forkflow/nodes/stack_trace.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>

namespace forkflow {

/// Why a message has no result.
enum class failure_kind : std::uint8_t {
    threw,         ///< the body threw an exception
    crashed,       ///< each worker that was given the message died of it, or none came to retry it
    timed_out,     ///< the deadline passed in the last attempt, and the worker was killed
    too_large,     ///< the encoded message or result has more than max_message_bytes or window_bytes
    not_encodable, ///< the codec of the message or result threw while encoding, or a marker when copied
    not_decodable, ///< the codec of the message or result threw while decoding, or a marker when it left;
                   ///< or a worker has written over a result, or over the state of a message
    pool_failed,   ///< the pool of workers is beyond repair; `what` says why
    no_memory,     ///< the system has no memory for the encoded message or result, or for its failure
};

/// The name of the enumerator. Never fails.
[[nodiscard]] const char* to_string(failure_kind kind) noexcept;

/// The outcome of a message that has no result. Copyable; the fields that do not apply keep their defaults.
struct failure {
    failure_kind kind = failure_kind::threw;
    std::uint32_t sequence = 0;          ///< the message's arrival number (wraps)
    unsigned attempts = 0;               ///< how many workers were given the message
    int pid = 0;                         ///< the last worker's process
    int signal = 0;                      ///< the signal that killed it; 0: it exited
    int status = 0;                      ///< its exit status, if it exited
    std::size_t size_bytes = 0;          ///< too_large, no_memory: what would have been needed
    std::size_t limit_bytes = 0;         ///< too_large: max_message_bytes, or window_bytes if that is less
    std::size_t peak_memory_kib = 0;     ///< the most memory that the dead worker ever had resident
    std::string exception_type{};        ///< the readable name of the exception's type
    std::string what{};                  ///< what it said, or a sentence about what happened
    std::string stderr_tail{};           ///< crashed, timed_out: what the worker wrote last to standard error
    forkflow::stack_trace stack_trace{}; ///< of the throwing or crashing point in the worker
};

/// One line without the stack: "threw std::runtime_error: no such page (sequence 7, attempt 1, worker 4711)".
[[nodiscard]] std::string describe(const failure& outcome);
std::ostream& operator<<(std::ostream& out, const failure& outcome);

/// A failure as an exception. `what()` is its description and the worker's stack.
class process_error : public std::runtime_error {
public:
    explicit process_error(failure outcome);

    /// The failure itself. Lives as long as the exception.
    [[nodiscard]] const failure& details() const noexcept { return details_; }

private:
    failure details_;
};

} // namespace forkflow
