// SPDX-License-Identifier: MIT
#include <forkflow/nodes/failure.hpp>

#include <ostream>
#include <sstream>
#include <utility>

namespace forkflow {

const char* to_string(failure_kind kind) noexcept {
    switch (kind) {
    case failure_kind::threw:
        return "threw";
    case failure_kind::crashed:
        return "crashed";
    case failure_kind::timed_out:
        return "timed_out";
    case failure_kind::too_large:
        return "too_large";
    case failure_kind::not_encodable:
        return "not_encodable";
    case failure_kind::not_decodable:
        return "not_decodable";
    case failure_kind::pool_failed:
        return "pool_failed";
    case failure_kind::no_memory:
        return "no_memory";
    }
    return "unknown";
}

std::ostream& operator<<(std::ostream& out, const failure& outcome) {
    out << to_string(outcome.kind);
    if (!outcome.exception_type.empty()) {
        out << ' ' << outcome.exception_type;
    }
    if (!outcome.what.empty()) {
        out << ": " << outcome.what;
    }
    out << " (sequence " << outcome.sequence;
    if (outcome.attempts > 0) {
        out << ", attempt " << outcome.attempts;
    }
    if (outcome.pid > 0) {
        out << ", worker " << outcome.pid;
    }
    return out << ')';
}

std::string describe(const failure& outcome) {
    std::ostringstream out;
    out << outcome;
    return out.str();
}

namespace {

std::string with_stack(const failure& outcome) {
    const std::string line = "forkflow: " + describe(outcome);
    return outcome.stack_trace.empty() ? line
                                       : line + "\nstack in the worker:\n" + outcome.stack_trace.to_string();
}

} // namespace

process_error::process_error(failure outcome)
    : std::runtime_error(with_stack(outcome))
    , details_(std::move(outcome)) {}

} // namespace forkflow
