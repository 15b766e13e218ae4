// SPDX-License-Identifier: MIT
// Who was born when: lets a test number the workers of a pool, hold them in worker_init, and see by whom each
// attempt at a message was made.
#pragma once

#include "support/number_line.hpp"
#include "support/shared_flags.hpp"

#include <cstddef>
#include <functional>
#include <optional>

#include <unistd.h>

namespace forkflow_test {

/// One attempt at one message.
struct attempt_record {
    number birth = 0;     ///< of the worker that made it
    number earlier = 0;   ///< how many messages that worker had begun before
    number born_then = 0; ///< how many workers had begun when the attempt began
};

/// A register of births in shared memory. Make it before the node.
class births {
public:
    /// For messages below `most_messages`.
    explicit births(number most_messages)
        : flags_(attempts_at + std::size_t{most_messages} * fields_per_message) {}

    /// To be called in worker_init: returns how many workers had begun before this one.
    number enroll() const {
        own_birth() = flags_.add(born_at);
        flags_.set(pids_at + own_birth() % most_pids, static_cast<number>(::getpid()));
        return own_birth();
    }
    /// To be called by the body, first thing: which attempt at this message it is, from 0.
    number begin(number message) const {
        const std::size_t place = attempts_at + std::size_t{message} * fields_per_message;
        const number attempt = flags_.add(place);
        if (attempt < attempts_kept) {
            const std::size_t record = place + 1 + std::size_t{attempt} * 3;
            flags_.set(record, own_birth());
            flags_.set(record + 1, handled()++);
            flags_.set(record + 2, flags_.get(born_at));
        }
        return attempt;
    }

    [[nodiscard]] number born() const { return flags_.get(born_at); }
    void wait_for(number count) const { flags_.wait_for(born_at, count); }
    /// Waits for the worker to enroll.
    [[nodiscard]] ::pid_t pid_of(number birth) const {
        flags_.wait_for(pids_at + birth % most_pids);
        return static_cast<::pid_t>(flags_.get(pids_at + birth % most_pids));
    }
    [[nodiscard]] number attempts(number message) const {
        return flags_.get(attempts_at + std::size_t{message} * fields_per_message);
    }
    [[nodiscard]] attempt_record attempt(number message, number which) const {
        const std::size_t record = attempts_at + std::size_t{message} * fields_per_message + 1 + which * 3;
        return {.birth = flags_.get(record),
                .earlier = flags_.get(record + 1),
                .born_then = flags_.get(record + 2)};
    }

    /// Holds who calls it until `release`.
    void hold() const { flags_.wait_for(released_at); }
    void release() const { flags_.set(released_at); }

private:
    static constexpr std::size_t born_at = 0;
    static constexpr std::size_t released_at = 1;
    static constexpr std::size_t pids_at = 2;
    static constexpr std::size_t most_pids = 64;
    static constexpr std::size_t attempts_at = pids_at + most_pids;
    static constexpr number attempts_kept = 4;
    static constexpr std::size_t fields_per_message = 1 + 3 * attempts_kept;

    /// Of this process.
    static number& own_birth() {
        static number birth = 0;
        return birth;
    }
    static number& handled() {
        static number count = 0;
        return count;
    }

    shared_flags flags_;
};

} // namespace forkflow_test
