// SPDX-License-Identifier: MIT
// Memory for buffers: blocks never overlap, the lowest room is used first, and what stays free goes back.
#include "support/engine_bytes_scenarios.hpp"

#include <forkflow/nodes/buffer_memory.hpp>

#include <sys/stat.h>

#include <memory>
#include <random>

namespace buffer_memory_test {

using namespace forkflow_test;
using forkflow::nodes::buffer_memory;
using forkflow::nodes::shared_mapping;

namespace {

using block = std::shared_ptr<const buffer_memory::block>;

std::size_t pages_of(const shared_mapping& mapping) {
    struct stat about {};
    REQUIRE(::fstat(mapping.file(), &about) == 0);
    return static_cast<std::size_t>(about.st_blocks) * 512 / page_bytes;
}

struct region {
    explicit region(std::size_t pages)
        : mapping(std::make_shared<const shared_mapping>(
              shared_mapping::sizes{.sealed_bytes = pages * page_bytes, .open_bytes = page_bytes}))
        , memory(std::make_shared<buffer_memory>(mapping, std::span(mapping->sealed(), pages * page_bytes))) {
    }
    [[nodiscard]] block allocate(std::size_t pages) const { return memory->try_allocate(pages * page_bytes); }
    [[nodiscard]] std::size_t page_of(const block& made) const {
        return memory->offset_of(made->pages().data()) / page_bytes;
    }

    std::shared_ptr<const shared_mapping> mapping;
    std::shared_ptr<buffer_memory> memory;
};

} // namespace

TEST_CASE("Blocks are whole pages, the lowest that are free, and there are no more than there is room") {
    const region tested(10);
    block first = tested.memory->try_allocate(1);
    const block second = tested.memory->try_allocate(page_bytes + 1);
    CHECK(first->pages().size() == page_bytes);
    CHECK(second->pages().size() == 2 * page_bytes);
    CHECK(tested.page_of(second) == 1);
    CHECK(tested.allocate(8) == nullptr);
    CHECK(tested.memory->try_allocate(~std::size_t{0}) == nullptr);
    const block third = tested.allocate(7);
    CHECK(tested.memory->try_allocate(0) == nullptr);
    first.reset();
    CHECK(tested.page_of(tested.memory->try_allocate(0)) == 0);
    CHECK(tested.allocate(2) == nullptr);
}

TEST_CASE("Room is found across neighbours that became free at different times") {
    const region tested(8);
    std::vector<block> all;
    for (int i = 0; i < 8; ++i) {
        all.push_back(tested.allocate(1));
    }
    for (const std::size_t i : {3U, 2U, 5U, 4U}) {
        all[i].reset();
        tested.memory->sweep();
    }
    CHECK(tested.allocate(5) == nullptr);
    const block four = tested.allocate(4);
    REQUIRE(four);
    CHECK(tested.page_of(four) == 2);
}

TEST_CASE("Whatever is allocated and freed in any order, blocks never overlap, and in the end all is free") {
    std::mt19937 random(3);
    const region tested(200);
    struct owned {
        block memory;
        std::byte mark;
    };
    std::vector<owned> all;
    for (int step = 0; step < 20'000; ++step) {
        const unsigned what = static_cast<unsigned>(random());
        if (what % 20 == 0) {
            tested.memory->sweep();
        } else if (what % 2 == 0 && !all.empty()) {
            const std::size_t which = random() % all.size();
            for (const std::byte each : all[which].memory->pages()) {
                if (each != all[which].mark) {
                    FAIL("a block was written over");
                }
            }
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(which));
        } else if (block made = tested.allocate(1 + random() % 12)) {
            const auto mark = static_cast<std::byte>(random());
            std::memset(made->pages().data(), static_cast<int>(mark), made->pages().size());
            all.push_back({std::move(made), mark});
        }
    }
    all.clear();
    CHECK(tested.page_of(tested.allocate(200)) == 0);
}

TEST_CASE("What stays free from one sweep to the next goes back, and its neighbours in use do not keep it") {
    const region tested(1000);
    const std::size_t at_first = pages_of(*tested.mapping);
    block kept = tested.allocate(100);
    block burst = tested.allocate(800);
    CHECK(pages_of(*tested.mapping) == at_first + 900);
    CHECK(tested.memory->idle_bytes() == 0);
    burst.reset();
    CHECK(tested.memory->idle_bytes() == 800 * page_bytes);
    tested.memory->sweep();
    CHECK(pages_of(*tested.mapping) == at_first + 900); // it has just been used
    for (int i = 0; i < 10; ++i) {
        const block again = tested.allocate(5); // comes and goes in what became free
        CHECK(tested.page_of(again) == 100);
    }
    tested.memory->sweep();
    CHECK(pages_of(*tested.mapping) == at_first + 105);
    CHECK(tested.memory->idle_bytes() == 5 * page_bytes);
    kept.reset();
    tested.memory->sweep();
    tested.memory->sweep();
    CHECK(pages_of(*tested.mapping) == at_first);
    CHECK(tested.memory->idle_bytes() == 0);
}

TEST_CASE("A block outlives everything that it came from") {
    block last;
    {
        const region tested(4);
        last = tested.allocate(2);
        tested.memory->set_on_idle([] {});
    }
    std::memset(last->pages().data(), 1, last->pages().size());
    CHECK(last->pages()[page_bytes] == std::byte{1});
}

TEST_CASE("A pool gives the pages of buffers back that are gone") {
    const engine_watchdog watchdog("pages of buffers");
    pool_options options = small_pool(1, 4, 4);
    options.buffer_bytes = std::size_t{64} << 20U;
    engine<process_world> tested(options);
    const shared_mapping& mapping = rings_of(rings_key(), tested.pool()).memory();
    const std::size_t small = pages_of(mapping);
    for (int burst = 0; burst < 2; ++burst) {
        block large = tested.pool().buffers().try_allocate(std::size_t{16} << 20U);
        REQUIRE(large);
        CHECK(pages_of(mapping) >= small + 4096);
        large.reset();
        CHECK(eventually([&] { return pages_of(mapping) <= small + 256; }));
    }
}

} // namespace buffer_memory_test
