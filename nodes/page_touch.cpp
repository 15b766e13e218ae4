// SPDX-License-Identifier: MIT
#include <forkflow/nodes/page_touch.hpp>
#include <forkflow/nodes/protocol.hpp>

#include <csetjmp>
#include <optional>

namespace forkflow::nodes {
namespace {

/// What the calling thread is touching. A signal handler gets no context of ours.
struct touching {
    const volatile std::byte* from = nullptr; ///< null: nothing
    const volatile std::byte* to = nullptr;
    sigjmp_buf back{};
};
thread_local touching current; // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::optional<struct sigaction> escaping; ///< set before the first page is touched, if at all

// A function of its own, so that touch_pages has no variable which a jump back could spoil.
[[gnu::noinline]] void touch(std::byte* from, const std::byte* to) noexcept {
    current.to = to;
    current.from = from;
    std::atomic_signal_fence(std::memory_order_seq_cst); // before the handler can look
    for (volatile std::byte* page = from; page < to; page += page_bytes) {
        *page = std::byte{0};
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    current.from = nullptr;
}

} // namespace

bool touch_pages(std::byte* from, const std::byte* to) noexcept {
    if (sigsetjmp(current.back, 0) != 0) { // NOLINT(cert-err52-cpp): nothing has a destructor here
        current.from = nullptr;
        if (escaping) {
            ::sigaction(SIGBUS, &*escaping, nullptr); // if it may not, the next refusal is fatal
        }
        return false;
    }
    touch(from, to);
    return true;
}

void escape_from_touch(const void* fault) noexcept {
    const auto* const at = static_cast<const volatile std::byte*>(fault);
    if (current.from != nullptr && at >= current.from && at < current.to) {
        siglongjmp(current.back, 1); // NOLINT(cert-err52-cpp)
    }
}

void touch_under(const struct sigaction& action) noexcept {
    escaping = action;
}

} // namespace forkflow::nodes
