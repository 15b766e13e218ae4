// SPDX-License-Identifier: MIT
#include <forkflow/nodes/throw_point.hpp>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <typeinfo>

namespace forkflow::nodes {
namespace {

struct noted_stack {
    std::array<void*, max_stack_frames> frames{};
    int count = 0;
};

// The C++ runtime calls the type_info with nothing of ours at hand: the note must be the thread's.
thread_local noted_stack noted;

/// True for a return address inside __cxa_throw or __cxa_rethrow: the frames above it are the runtime's own.
bool is_throw(void* frame) {
    Dl_info info{};
    return ::dladdr(frame, &info) != 0 && (info.dli_saddr == reinterpret_cast<void*>(&abi::__cxa_throw) ||
                                           info.dli_saddr == reinterpret_cast<void*>(&abi::__cxa_rethrow));
}

void note_stack() {
    const int count = ::backtrace(noted.frames.data(), static_cast<int>(noted.frames.size()));
    auto* const end = noted.frames.begin() + count;
    auto* const thrown = std::find_if(noted.frames.begin(), end, is_throw);
    noted.count =
        thrown == end
            ? count
            : static_cast<int>(std::copy(thrown + 1, end, noted.frames.begin()) - noted.frames.begin());
}

} // namespace

#ifdef __GLIBCXX__
/// The type_info of throw_point: takes a note and takes no exception. (Named, as an object of an unnamed type
/// would have internal linkage.)
class noting_type_info final : public std::type_info {
public:
    noting_type_info() noexcept
        : std::type_info("N8forkflow5nodes11throw_pointE") {}

private:
    bool __do_catch(const std::type_info* /*thrown*/, void** /*object*/, unsigned /*outer*/) const override {
        note_stack();
        return false;
    }
};

// throw_point's key function, its destructor, is defined nowhere: so the compiler emits no type_info for it,
// and the references in the handlers' tables go to this object.
extern const noting_type_info throw_point_type_info asm("_ZTIN8forkflow5nodes11throw_pointE");
const noting_type_info throw_point_type_info;
#endif

std::span<void* const> noted_throw_point() noexcept {
    return {noted.frames.data(), static_cast<std::size_t>(noted.count)};
}

void forget_throw_point() noexcept {
    noted.count = 0;
}

} // namespace forkflow::nodes
