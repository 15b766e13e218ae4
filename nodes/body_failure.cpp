// SPDX-License-Identifier: MIT
#include <forkflow/nodes/body_failure.hpp>
#include <forkflow/nodes/demangle.hpp>
#include <forkflow/nodes/throw_point.hpp>

#include <cxxabi.h>
#include <typeinfo>

namespace forkflow::nodes {

std::string current_exception_type() {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    return type != nullptr ? demangled(type->name()) : std::string("an exception of another language");
}

failure failure_at(body_stage stage, std::uint32_t engine_frames) {
    failure outcome;
    outcome.kind = stage == body_stage::decoding   ? failure_kind::not_decodable
                   : stage == body_stage::encoding ? failure_kind::not_encodable
                                                   : failure_kind::threw;
    outcome.exception_type = current_exception_type();
    for (void* const frame : noted_throw_point()) {
        outcome.stack_trace.frames.push_back(reinterpret_cast<std::uintptr_t>(frame));
    }
    cut_engine_frames(outcome.stack_trace, engine_frames);
    return outcome;
}

} // namespace forkflow::nodes
