// SPDX-License-Identifier: MIT
// Frames become text through libbacktrace (part of GCC) where it was found at build time, else through
// dladdr.
#include <forkflow/nodes/demangle.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/stack_trace.hpp>

#include <dlfcn.h>

#include <ostream>
#include <sstream>

#ifdef FORKFLOW_HAS_LIBBACKTRACE
#include <backtrace.h>
#endif

namespace forkflow {
namespace {

struct location {
    std::string function;
    std::string file;
    int line = 0;
};

/// What the dynamic linker knows: exported functions, and which object the address lies in.
location from_linker(std::uintptr_t address) {
    Dl_info info{};
    location found;
    if (::dladdr(reinterpret_cast<void*>(address), &info) != 0) { // NOLINT(performance-no-int-to-ptr)
        found.function = info.dli_sname != nullptr ? nodes::demangled(info.dli_sname) : std::string();
        found.file = info.dli_fname != nullptr ? info.dli_fname : "";
    }
    return found;
}

#ifdef FORKFLOW_HAS_LIBBACKTRACE

void ignore_error(void* /*data*/, const char* /*message*/, int /*number*/) {}

int take_line(void* data, std::uintptr_t /*address*/, const char* file, int line, const char* function) {
    auto& found = *static_cast<location*>(data);
    if (function != nullptr && found.function.empty()) {
        found = {.function = nodes::demangled(function), .file = file != nullptr ? file : "", .line = line};
    }
    return 0;
}

void take_symbol(void* data, std::uintptr_t /*address*/, const char* symbol, std::uintptr_t /*value*/,
                 std::uintptr_t /*size*/) {
    if (symbol != nullptr) {
        static_cast<location*>(data)->function = nodes::demangled(symbol);
    }
}

location locate(std::uintptr_t address) {
    // libbacktrace's state lives as long as the process and may not be freed; it is made thread-safe.
    static backtrace_state* const state = backtrace_create_state(nullptr, 1, ignore_error, nullptr);
    location found;
    if (state != nullptr) {
        backtrace_pcinfo(state, address, take_line, ignore_error, &found);
        if (found.function.empty()) {
            backtrace_syminfo(state, address, take_symbol, ignore_error, &found);
        }
    }
    return found.function.empty() ? from_linker(address) : found;
}

#else

location locate(std::uintptr_t address) {
    return from_linker(address);
}

#endif

} // namespace

void nodes::cut_engine_frames(stack_trace& trace, std::size_t engine_frames) {
    if (trace.frames.size() > engine_frames && trace.frames.size() + 8 < max_stack_frames) {
        trace.frames.resize(trace.frames.size() - engine_frames);
    }
}

std::string stack_trace::to_string() const {
    std::ostringstream out;
    out << *this;
    return out.str();
}

std::ostream& operator<<(std::ostream& out, const stack_trace& trace) {
    std::size_t number = 0;
    for (const std::uintptr_t frame : trace.frames) {
        const location found = locate(frame - 1); // a return address may belong to the next line already
        out << '#' << number++ << ' ';
        if (found.function.empty()) {
            out << "0x" << std::hex << frame << std::dec;
        } else {
            out << found.function;
        }
        if (!found.file.empty()) {
            out << " at " << found.file;
            if (found.line > 0) {
                out << ':' << found.line;
            }
        }
        out << '\n';
    }
    return out;
}

} // namespace forkflow
