// SPDX-License-Identifier: MIT
#include <forkflow/nodes/above_standard.hpp>
#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/shared_mapping.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

namespace forkflow::nodes {
namespace {

namespace ipc = boost::interprocess;

/// Gives `file` its size. Beyond RLIMIT_FSIZE the kernel also sends this thread a SIGXFSZ, which by default
/// ends the program: it is taken back, so that only the error is left.
void resize(int file, std::size_t bytes) {
    sigset_t over_limit;
    ::sigemptyset(&over_limit);
    ::sigaddset(&over_limit, SIGXFSZ);
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &over_limit, &before);
    sigset_t pending;
    ::sigpending(&pending); // such a signal would be somebody else's, and stays
    const int result = ::ftruncate(file, static_cast<off_t>(bytes));
    const int error = errno;
    if (result == -1 && ::sigismember(&pending, SIGXFSZ) == 0) {
        const timespec at_once{};
        ::sigtimedwait(&over_limit, nullptr, &at_once);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    checked("ftruncate", result);
}

/// A memfd as Boost.Interprocess's MemoryMappable.
struct memory_file {
    const descriptor& file;

    [[nodiscard]] ipc::mapping_handle_t get_mapping_handle() const {
        return ipc::ipcdetail::mapping_handle_from_file_handle(file.get());
    }
};

descriptor made_memory_file(std::size_t bytes) {
    descriptor file =
        above_standard(descriptor(checked("memfd_create", ::memfd_create("forkflow", MFD_CLOEXEC))));
    resize(file.get(), bytes);
    return file;
}

std::size_t whole_pages(std::size_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/// Of all parts and the guard pages in front of and behind sealed, open and own ones.
std::size_t total_bytes(const shared_mapping::sizes& parts) {
    return whole_pages(parts.sealed_bytes) + whole_pages(parts.open_bytes) +
           parts.owners * whole_pages(parts.own_bytes) + 4 * page_bytes;
}

ipc::mapped_region mapped(const descriptor& file, std::size_t bytes) {
    try {
        return {memory_file{file}, ipc::read_write, 0, bytes, nullptr, MAP_SHARED | MAP_NORESERVE};
    } catch (const ipc::interprocess_exception& refused) {
        throw std::system_error(refused.get_native_error(), std::system_category(),
                                "mmap of the forkflow rings");
    }
}

} // namespace

struct shared_mapping::region {
    ipc::mapped_region memory;
};

shared_mapping::shared_mapping(const sizes& parts, std::optional<descriptor> existing)
    : file_(existing ? std::move(*existing) : made_memory_file(total_bytes(parts)))
    , sealed_bytes_(whole_pages(parts.sealed_bytes))
    , own_bytes_(whole_pages(parts.own_bytes))
    , owners_(parts.owners) {
    const std::size_t total = total_bytes(parts);
    region_ = std::make_unique<region>(region{mapped(file_, total)});
    auto* const base = static_cast<std::byte*>(region_->memory.get_address());
    sealed_ = base + page_bytes;
    open_ = sealed_ + sealed_bytes_ + page_bytes;
    own_ = open_ + whole_pages(parts.open_bytes) + page_bytes;
    for (std::byte* const guard : {base, open_ - page_bytes, own_ - page_bytes, base + total - page_bytes}) {
        checked("mprotect", ::mprotect(guard, page_bytes, PROT_NONE));
    }
}

shared_mapping::~shared_mapping() = default;

bool shared_mapping::provide(std::span<std::byte> pages) const noexcept {
#ifdef MADV_POPULATE_WRITE
    constexpr int populate = MADV_POPULATE_WRITE;
#else
    constexpr int populate = 23; // Linux 5.14; the headers may be older
#endif
    // One call for all faults.
    if (::madvise(pages.data(), pages.size(), populate) == 0) {
        return true;
    }
    return errno == EINVAL && uninterrupted([&] {
                                  return ::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, offset_of(pages),
                                                     static_cast<off_t>(pages.size()));
                              }) == 0;
}

void shared_mapping::give_back(std::span<std::byte> pages) const noexcept {
    uninterrupted([&] {
        return ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(pages),
                           static_cast<off_t>(pages.size()));
    });
}

std::int64_t shared_mapping::offset_of(std::span<std::byte> pages) const noexcept {
    return pages.data() - static_cast<std::byte*>(region_->memory.get_address());
}

void shared_mapping::seal() const {
    checked("mprotect", ::mprotect(sealed_, sealed_bytes_, PROT_READ));
    checked("mprotect", ::mprotect(own_, owners_ * own_bytes_, PROT_NONE));
}

void shared_mapping::enter(std::size_t owner) const {
    checked("mprotect", ::mprotect(own(owner), own_bytes_, PROT_READ | PROT_WRITE));
}

void shared_mapping::withhold_from_children() const {
    checked("madvise", ::madvise(region_->memory.get_address(), region_->memory.get_size(), MADV_DONTFORK));
}

} // namespace forkflow::nodes
