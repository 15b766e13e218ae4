// SPDX-License-Identifier: MIT
// A worker gone wild: what it writes over which part of the memory that it shares with the pool.
#pragma once

#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/rings.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <stdexcept>
#include <string>

namespace forkflow_test {

/// Which part of the memory that a worker can write: open to all, or its own (results, of which payloads are
/// all but the headers, and places).
enum class wild_part {
    all,
    states,
    seats,
    bell,
    idle,
    blocked,
    reliefs,
    results,
    payloads,
    places,
    last_words,
    held
};
inline constexpr int wild_parts = 12;
/// What is written there.
enum class wild_bytes { ones, zeros, random, some_words, bit_flips, forged_states };
inline constexpr int wild_bytes_kinds = 6;

/// What a worker process can write of the rings.
struct writable_rings {
    std::span<std::byte> open;
    std::span<std::byte> own;
    std::byte* anothers = nullptr; ///< what is another's own, in a pool of two seats
};

/// Where each part lies in the memory of a pool with these options.
class wild_map {
public:
    /// Maps such a memory for a moment; so to be made before the pool, if workers look for theirs.
    explicit wild_map(const forkflow::pool_options& options) {
        const forkflow::nodes::rings made(forkflow::resolved(options), 0);
        const std::byte* const base = made.memory().open();
        const auto offset = [base](const auto& thing) {
            return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&thing) - base);
        };
        capacity_ = made.capacity();
        seats_ = made.seats();
        states_ = offset(made.state(0));
        idle_ = offset(made.idle_seats());
        blocked_ = offset(made.blocked_seats());
        reliefs_ = offset(made.relief_wanted());
        seat_blocks_ = offset(made.seat(0));
        words_ = offset(made.words_of(0));
        held_ = offset(made.held_pages(0));
        window_slots_ = made.window_slots();
        places_ = made.places();
        const auto own_offset = [&made](const void* thing) {
            return static_cast<std::size_t>(static_cast<const std::byte*>(thing) - made.memory().own(0));
        };
        place_words_ = own_offset(&made.words_of(forkflow::nodes::result_place{}));
        extents_ = own_offset(made.result({}).extent.data());
        extent_bytes_ = made.result({}).extent.size();
    }

    [[nodiscard]] std::size_t places() const { return places_; }
    /// What is there of a worker's own for a result that outgrows its slot.
    [[nodiscard]] std::span<std::byte> extent(const writable_rings& rings, std::size_t place) const {
        return rings.own.subspan(extents_ + place * extent_bytes_, extent_bytes_);
    }

    [[nodiscard]] std::span<std::byte> part(const writable_rings& rings, wild_part which) const {
        using namespace forkflow::nodes;
        const std::span<std::byte> open = rings.open;
        switch (which) {
        case wild_part::all:
            break;
        case wild_part::states:
            return open.subspan(states_, capacity_ * sizeof(state_cell));
        case wild_part::seats:
            return open.subspan(seat_blocks_, seats_ * sizeof(seat_block));
        case wild_part::bell:
            return open.first(sizeof(parent_bell));
        case wild_part::idle:
            return open.subspan(idle_, sizeof(seat_set));
        case wild_part::blocked:
            return open.subspan(blocked_, sizeof(seat_set));
        case wild_part::reliefs:
            return open.subspan(reliefs_, sizeof(seat_set));
        case wild_part::results:
            return rings.own.first(place_words_);
        case wild_part::payloads:
            return rings.own.first(places_ * inline_bytes);
        case wild_part::places:
            return rings.own.subspan(place_words_, places_ * sizeof(place_words));
        case wild_part::last_words:
            return open.subspan(words_, seats_ * sizeof(last_words));
        case wild_part::held: // a whole number of words, as there are two of them or more
            return open.subspan(held_, window_slots_ * sizeof(std::uint32_t));
        }
        return open;
    }

private:
    std::size_t capacity_, seats_, states_, idle_, blocked_, reliefs_, seat_blocks_, words_, held_,
        window_slots_, places_, place_words_, extents_, extent_bytes_;
};

/// In a worker process: where its rings are.
inline writable_rings find_writable_rings() {
    writable_rings found;
    std::byte* closed_end = nullptr; // of the last part that is inaccessible
    std::size_t closed_bytes = 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        unsigned long long first = 0;
        unsigned long long last = 0;
        char rights[8] = {};
        if (line.find("memfd:forkflow") == std::string::npos ||
            std::sscanf(line.c_str(), "%llx-%llx %7s", &first, &last, rights) != 3) {
            continue;
        }
        auto* const begin = reinterpret_cast<std::byte*>(first);
        const auto size = static_cast<std::size_t>(last - first);
        if (std::string(rights) == "rw-s") {
            (found.open.empty() ? found.open : found.own) = {begin, size};
            if (!found.own.empty() && closed_bytes > size) {
                found.anothers = closed_end - size;
            }
        } else if (std::string(rights) == "---s") {
            closed_end = begin + size;
            closed_bytes = size;
            if (!found.own.empty() && found.anothers == nullptr && size > found.own.size()) {
                found.anothers = begin;
            }
        }
    }
    if (found.own.empty()) {
        throw std::runtime_error("this process has no rings that it could write");
    }
    return found;
}

/// A state word with a number that fits its place, and all else anyhow.
inline std::uint64_t forged_word(std::uint64_t former, std::mt19937_64& random) {
    using namespace forkflow::nodes;
    state_word word = state_word::unpacked(former);
    const std::uint64_t dice = random();
    word.state = static_cast<message_state>(dice % 8);
    word.attempt = (dice >> 8U) % 2 != 0 ? word.attempt : static_cast<std::uint32_t>((dice >> 9U) % 4);
    if ((dice >> 16U) % 2 != 0) {
        word.seat = (dice >> 17U) % 8 == 0 ? parent_seat : static_cast<std::uint32_t>((dice >> 20U) % 4);
        word.incarnation = static_cast<std::uint32_t>((dice >> 24U) % 4);
    }
    return word.packed();
}

/// Writes over `part`.
inline void scribble(std::span<std::byte> part, wild_bytes what, std::mt19937_64& random) {
    using word = std::uint64_t;
    const std::size_t words = part.size() / sizeof(word);
    const auto place = [&](std::size_t index) {
        return reinterpret_cast<volatile word*>(part.data()) + index;
    };
    switch (what) {
    case wild_bytes::ones:
        std::memset(part.data(), 0xff, part.size());
        break;
    case wild_bytes::zeros:
        std::memset(part.data(), 0, part.size());
        break;
    case wild_bytes::random:
        for (std::size_t i = 0; i < words; ++i) {
            *place(i) = random();
        }
        break;
    case wild_bytes::some_words:
        for (int i = 0; i < 8; ++i) {
            *place(random() % words) = random();
        }
        break;
    case wild_bytes::bit_flips:
        for (int i = 0; i < 64; ++i) {
            const std::size_t index = random() % words;
            *place(index) = *place(index) ^ (word{1} << (random() % 64));
        }
        break;
    case wild_bytes::forged_states:
        for (std::size_t i = 0; i < words; i += forkflow::nodes::cache_line_bytes / sizeof(word)) {
            if (random() % 2 == 0) {
                *place(i) = forged_word(*place(i), random);
            }
        }
        break;
    }
}

} // namespace forkflow_test
