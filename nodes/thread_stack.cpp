// SPDX-License-Identifier: MIT
#include <forkflow/nodes/announced_switch.hpp>
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

struct stack_range {
    const void* lowest = nullptr;
    std::size_t bytes = 0;

    [[nodiscard]] bool has(std::uintptr_t address) const noexcept {
        return address - reinterpret_cast<std::uintptr_t>(lowest) < bytes;
    }
    /// Stacks grow downwards.
    [[nodiscard]] bool is_half_empty_at(std::uintptr_t address) const noexcept {
        return address - reinterpret_cast<std::uintptr_t>(lowest) >= bytes / 2;
    }
};

stack_range own_range() noexcept {
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) {
        return {};
    }
    void* lowest = nullptr;
    std::size_t bytes = 0;
    ::pthread_attr_getstack(&attributes, &lowest, &bytes);
    ::pthread_attr_destroy(&attributes);
    return {.lowest = lowest, .bytes = bytes};
}

/// The further stack that the thread runs on, or ran on. Not more than a hint: where a task is suspended, as
/// by tbb::task::suspend, a call may return in another thread than it began in. So no address of this is kept
/// across a call either.
[[gnu::noinline]] stack_range& further_range() noexcept {
    thread_local stack_range current;
    return current;
}

struct further_call {
    const std::function<void()>& function;
    std::exception_ptr thrown{};
    announced_switch announced{};
};

/// makecontext hands over numbers of 32 bits: an address is two of them.
constexpr int half_bits = 32;

/// The first function on a further stack.
void run(unsigned upper, unsigned lower) noexcept {
    const std::uintptr_t address = (static_cast<std::uintptr_t>(upper) << half_bits) | lower;
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    further_call& call = *reinterpret_cast<further_call*>(address);
    call.announced.arrived();
    try {
        call.function();
    } catch (...) {
        call.thrown = std::current_exception();
    }
    call.announced.returning();
}

} // namespace

bool stack_is_half_empty() noexcept {
    thread_local const stack_range own = own_range();
    // Not a variable's address, which the address sanitizer may have moved to a stack of its own.
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    if (own.has(here)) {
        return own.is_half_empty_at(here);
    }
    const stack_range further = further_range();
    return further.has(here) && further.is_half_empty_at(here);
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
    announced_switch::forget(memory_, guard_bytes_ + size_bytes);
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
    ::makecontext(&there, reinterpret_cast<void (*)()>(&run), 2, static_cast<unsigned>(address >> half_bits),
                  static_cast<unsigned>(address));
    const stack_range before = std::exchange(further_range(), {.lowest = lowest(), .bytes = size_bytes});
    call.announced.going(lowest(), size_bytes);
    const int switched = ::swapcontext(&here, &there);
    call.announced.returned();
    further_range() = before;
    checked("swapcontext", switched);
    if (call.thrown) {
        std::rethrow_exception(call.thrown);
    }
}

} // namespace forkflow::nodes
