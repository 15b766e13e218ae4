// SPDX-License-Identifier: MIT
// The least that a round trip to another process can cost: two words in shared memory, and nothing else.
#pragma once

#include "instruments/shared_value.hpp"
#include "instruments/timing.hpp"
#include "peers/child_process.hpp"

#include <forkflow/nodes/futex.hpp>

#include <atomic>
#include <cstdint>

namespace forkflow_benchmark {

/// How the two sides wait: asleep in the kernel, or looking again and again.
enum class waiting { parked, polling };

/// A process that answers each word with the same word.
class echo_process {
public:
    explicit echo_process(waiting how)
        : how_(how)
        , child_([this] { answer_all(); }) {}
    ~echo_process() { child_.kill(); }
    echo_process(const echo_process&) = delete;
    echo_process& operator=(const echo_process&) = delete;

    /// Until the answer is there. For one thread.
    seconds round_trip() {
        ++sent_;
        return timed([&] {
            say(words_->to_child, sent_);
            wait_for(words_->to_parent, sent_);
        });
    }

private:
    using word = std::atomic<std::uint32_t>;
    struct words {
        alignas(64) word to_child{0};
        alignas(64) word to_parent{0};
    };

    void say(word& to, std::uint32_t value) const noexcept {
        to.store(value);
        if (how_ == waiting::parked) {
            forkflow::nodes::futex_wake(to, 1);
        }
    }
    void wait_for(const word& from, std::uint32_t value) const noexcept {
        for (std::uint32_t seen = from.load(); seen != value; seen = from.load()) {
            if (how_ == waiting::parked) {
                forkflow::nodes::futex_wait(from, seen);
            }
        }
    }
    [[noreturn]] void answer_all() {
        for (std::uint32_t next = 1;; ++next) {
            wait_for(words_->to_child, next);
            say(words_->to_parent, next);
        }
    }

    waiting how_;
    shared_value<words> words_;
    std::uint32_t sent_ = 0;
    child_process child_;
};

} // namespace forkflow_benchmark
