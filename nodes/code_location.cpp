// SPDX-License-Identifier: MIT
#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/code_location.hpp>

#include <link.h>

#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

namespace forkflow::nodes {
namespace {

/// Calls `visit` with each loaded module until it returns true; then returns true.
template <class Visit>
bool any_module(Visit visit) {
    const auto call = [](dl_phdr_info* module, std::size_t /*size*/, void* visitor) {
        return (*static_cast<Visit*>(visitor))(*module) ? 1 : 0;
    };
    return ::dl_iterate_phdr(call, &visit) != 0;
}

std::span<const ElfW(Phdr)> segments_of(const dl_phdr_info& module) {
    return {module.dlpi_phdr, module.dlpi_phnum};
}

/// Whether a segment of the module that is in memory, with `flags`, holds all of these bytes.
bool holds(const dl_phdr_info& module, std::uint64_t offset_bytes, std::uint64_t size_bytes,
           ElfW(Word) flags) {
    for (const ElfW(Phdr) & segment : segments_of(module)) {
        if (segment.p_type == PT_LOAD && (segment.p_flags & flags) == flags &&
            offset_bytes >= segment.p_vaddr && size_bytes <= segment.p_memsz &&
            offset_bytes - segment.p_vaddr <= segment.p_memsz - size_bytes) {
            return true;
        }
    }
    return false;
}

/// FNV-1a, eight bytes at a time where the data is numbers.
class hash {
public:
    void add(std::uint64_t value) {
        constexpr std::uint64_t prime = 0x100000001b3;
        value_ = (value_ ^ value) * prime;
        value_ ^= value_ >> 32U; // the product alone never carries downwards
    }
    void add(std::string_view text) {
        for (const char character : text) {
            add(static_cast<std::uint64_t>(static_cast<unsigned char>(character)));
        }
    }
    [[nodiscard]] std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xcbf29ce484222325;
};

/// The name alone does not do: the file may have been replaced by another version.
std::uint64_t fingerprint(const dl_phdr_info& module) {
    hash sum;
    sum.add(std::string_view(module.dlpi_name == nullptr ? "" : module.dlpi_name));
    for (const ElfW(Phdr) & segment : segments_of(module)) {
        sum.add(segment.p_type);
        sum.add(segment.p_vaddr);
        sum.add(segment.p_memsz);
        if (segment.p_type == PT_NOTE && holds(module, segment.p_vaddr, segment.p_memsz, PF_R)) {
            // Among the notes is the build id.
            // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what the linker tells
            sum.add({reinterpret_cast<const char*>(module.dlpi_addr + segment.p_vaddr), segment.p_memsz});
        }
    }
    return sum.value();
}

} // namespace

code_location locate(std::uintptr_t address) {
    code_location found;
    const bool loaded = any_module([&](const dl_phdr_info& module) {
        found.offset_bytes = address - module.dlpi_addr;
        const bool here = holds(module, found.offset_bytes, 1, PF_X);
        if (here) {
            found.module = fingerprint(module);
        }
        return here;
    });
    if (!loaded) {
        throw std::invalid_argument("forkflow: a function lies neither in the program nor in a library that "
                                    "is loaded, so no other process can find it");
    }
    return found;
}

std::uintptr_t address_of(code_location place) {
    std::uintptr_t found = 0;
    const bool loaded = any_module([&](const dl_phdr_info& module) {
        found = module.dlpi_addr + place.offset_bytes;
        return holds(module, place.offset_bytes, 1, PF_X) && fingerprint(module) == place.module;
    });
    if (!loaded) {
        throw not_decodable("forkflow: a function lies in a library that the worker has not loaded: load it "
                            "before the pool of workers is made, or in worker_init");
    }
    return found;
}

bool in_module(std::uintptr_t address) {
    return any_module(
        [&](const dl_phdr_info& module) { return holds(module, address - module.dlpi_addr, 1, 0); });
}

} // namespace forkflow::nodes
