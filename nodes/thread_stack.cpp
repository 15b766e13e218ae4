// SPDX-License-Identifier: MIT
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/thread_stack.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

namespace forkflow::nodes {
namespace {

/// The upper half of a stack, which grows downwards.
struct upper_half {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
};

upper_half upper_half_of(const void* lowest, std::size_t bytes) noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(lowest);
    return {.begin = begin + bytes / 2, .end = begin + bytes};
}

upper_half own_upper_half() noexcept {
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) {
        return {};
    }
    void* lowest = nullptr;
    std::size_t bytes = 0;
    ::pthread_attr_getstack(&attributes, &lowest, &bytes);
    ::pthread_attr_destroy(&attributes);
    return upper_half_of(lowest, bytes);
}

/// That of the stack that the thread runs on.
upper_half& current_upper_half() noexcept {
    thread_local upper_half current = own_upper_half();
    return current;
}

struct further_call {
    const std::function<void()>& function;
    std::exception_ptr thrown{};
};

/// The first function on a further stack. makecontext hands over numbers of 32 bits.
void run(unsigned high, unsigned low) noexcept {
    auto& call = *reinterpret_cast<further_call*>(std::uintptr_t{high} << 32U | low);
    try {
        call.function();
    } catch (...) {
        call.thrown = std::current_exception();
    }
}

} // namespace

bool stack_is_half_empty() noexcept {
    const upper_half& current = current_upper_half();
    // Not a variable's address, which the address sanitizer may have moved to a stack of its own.
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    return here >= current.begin && here < current.end;
}

further_stack::further_stack()
    : guard_bytes_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    memory_ = ::mmap(nullptr, guard_bytes_ + size_bytes, PROT_NONE, flags, -1, 0);
    if (memory_ == MAP_FAILED) {
        checked("mmap of a stack", -1);
    }
    if (::mprotect(lowest(), size_bytes, PROT_READ | PROT_WRITE) != 0) {
        const int error = errno;
        unmap();
        errno = error;
        checked("mprotect of a stack", -1);
    }
}

further_stack::~further_stack() {
    unmap();
}

void further_stack::unmap() noexcept {
    ::munmap(memory_, guard_bytes_ + size_bytes);
}

/// Below it is a page that nobody can touch.
void* further_stack::lowest() const noexcept {
    return static_cast<std::byte*>(memory_) + guard_bytes_;
}

void further_stack::call(const std::function<void()>& function) const {
    further_call call{.function = function};
    const auto address = reinterpret_cast<std::uintptr_t>(&call);
    ucontext_t here{};
    ucontext_t there{};
    checked("getcontext", ::getcontext(&there));
    there.uc_stack = {.ss_sp = lowest(), .ss_flags = 0, .ss_size = size_bytes};
    there.uc_link = &here;
    ::makecontext(&there, reinterpret_cast<void (*)()>(&run), 2, static_cast<unsigned>(address >> 32U),
                  static_cast<unsigned>(address));
    const upper_half before = std::exchange(current_upper_half(), upper_half_of(lowest(), size_bytes));
    const int switched = ::swapcontext(&here, &there);
    current_upper_half() = before;
    checked("swapcontext", switched);
    if (call.thrown) {
        std::rethrow_exception(call.thrown);
    }
}

} // namespace forkflow::nodes
