// SPDX-License-Identifier: MIT
// The shared mapping: its guard pages, its sealed part, and that it costs only what is written.
#include "support/catch.hpp"

#include <forkflow/nodes/bytes.hpp>
#include <forkflow/nodes/rings.hpp>
#include <forkflow/nodes/shared_mapping.hpp>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace shared_mapping_test {

using namespace forkflow;
using namespace forkflow::nodes;

namespace {

/// The signal that kills a child which does this; 0 if it comes to its end.
int signal_of_child_that(const std::function<void()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGSEGV, SIG_DFL);
        const rlimit no_core{};
        ::setrlimit(RLIMIT_CORE, &no_core);
        act();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

void write_to(std::byte* place) {
    *static_cast<volatile std::byte*>(place) = std::byte{1};
}
void read_from(const std::byte* place) {
    (void)*static_cast<const volatile std::byte*>(place);
}

/// What /proc/self/smaps says of the mapping around this address: the line that begins it, and those below.
std::vector<std::string> smaps_of(const void* inside) {
    std::ifstream maps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(inside);
    std::vector<std::string> found;
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
        unsigned long from = 0;
        unsigned long to = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
            here = from <= wanted && wanted < to;
        }
        if (here) {
            found.push_back(line);
        }
    }
    return found;
}

/// How much memory the mapping around this address has been given, in KiB, as the kernel counts it.
std::size_t resident_kib(const void* inside) {
    for (const std::string& line : smaps_of(inside)) {
        unsigned long kib = 0;
        if (std::sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1) {
            return kib;
        }
    }
    return ~std::size_t{0};
}

/// The name of the file that the mapping around this address shows.
std::string file_behind(const void* inside) {
    const std::vector<std::string> lines = smaps_of(inside);
    const std::size_t name = lines.empty() ? std::string::npos : lines.front().find('/');
    return name == std::string::npos ? "" : lines.front().substr(name);
}

std::size_t entries_of(const char* directory) {
    std::error_code missing;
    const std::filesystem::directory_iterator all(directory, missing);
    return missing ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

} // namespace

TEST_CASE("Whoever steps over the end of a part dies at once") {
    const shared_mapping memory({.sealed_bytes = 3 * page_bytes, .open_bytes = 2 * page_bytes});
    CHECK(signal_of_child_that([&] {
              write_to(memory.sealed());
              write_to(memory.sealed() + 3 * page_bytes - 1);
              write_to(memory.open());
              write_to(memory.open() + 2 * page_bytes - 1);
          }) == 0);
    for (std::byte* const outside : {memory.sealed() - 1, memory.sealed() + 3 * page_bytes, memory.open() - 1,
                                     memory.open() + 2 * page_bytes}) {
        CHECK(signal_of_child_that([&] { write_to(outside); }) == SIGSEGV);
        CHECK(signal_of_child_that([&] { read_from(outside); }) == SIGSEGV);
    }
}

TEST_CASE("Parts that are no whole number of pages are rounded up") {
    const shared_mapping memory({.sealed_bytes = 1, .open_bytes = page_bytes + 1});
    CHECK(reinterpret_cast<std::uintptr_t>(memory.sealed()) % page_bytes == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(memory.open()) % page_bytes == 0);
    CHECK(signal_of_child_that([&] { write_to(memory.sealed() + page_bytes - 1); }) == 0);
    CHECK(signal_of_child_that([&] { write_to(memory.open() + 2 * page_bytes - 1); }) == 0);
    CHECK(signal_of_child_that([&] { write_to(memory.open() + 2 * page_bytes); }) == SIGSEGV);
}

TEST_CASE("A worker can read the sealed part and not write to it; the parent still can") {
    const shared_mapping memory({.sealed_bytes = page_bytes, .open_bytes = page_bytes});
    write_to(memory.sealed());
    CHECK(signal_of_child_that([&] {
              memory.seal();
              read_from(memory.sealed());
              write_to(memory.open());
          }) == 0);
    CHECK(signal_of_child_that([&] {
              memory.seal();
              write_to(memory.sealed());
          }) == SIGSEGV);
    write_to(memory.sealed() + 1);
    CHECK(memory.open()[0] == std::byte{1}); // what the child wrote is here
}

TEST_CASE("A worker has its own part to itself, and the parent has all") {
    const shared_mapping memory(
        {.sealed_bytes = page_bytes, .open_bytes = page_bytes, .own_bytes = page_bytes + 1, .owners = 3});
    for (const std::size_t owner : {0U, 1U, 2U}) {
        CHECK(memory.own(owner) + 2 * page_bytes == memory.own(owner + 1));
        CHECK(signal_of_child_that([&] {
                  memory.seal();
                  memory.enter(owner);
                  write_to(memory.open());
                  write_to(memory.own(owner));
                  write_to(memory.own(owner) + 2 * page_bytes - 1);
              }) == 0);
        CHECK(memory.own(owner)[0] == std::byte{1});
        for (std::byte* const outside : {memory.own(owner) - 1, memory.own(owner) + 2 * page_bytes,
                                         memory.own((owner + 1) % 3), memory.own((owner + 2) % 3)}) {
            CHECK(signal_of_child_that([&] {
                      memory.seal();
                      memory.enter(owner);
                      write_to(outside);
                  }) == SIGSEGV);
        }
    }
    CHECK(signal_of_child_that([&] { write_to(memory.own(3)); }) == SIGSEGV);
    CHECK(signal_of_child_that([&] { write_to(memory.own(0) - 1); }) == SIGSEGV);
}

TEST_CASE("What a worker forks does not have the mapping") {
    const shared_mapping memory({.sealed_bytes = page_bytes, .open_bytes = page_bytes});
    CHECK(signal_of_child_that([&] {
              memory.withhold_from_children();
              const pid_t grandchild = ::fork();
              if (grandchild == 0) {
                  ::signal(SIGSEGV, SIG_DFL);
                  read_from(memory.open());
                  ::_exit(0);
              }
              int status = 0;
              ::waitpid(grandchild, &status, 0);
              ::_exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
          }) == SIGSEGV);
}

TEST_CASE("The memory has no name, and is not bounded by what /dev/shm can hold") {
    const std::size_t before = entries_of("/dev/shm");
    const std::size_t descriptors = entries_of("/proc/self/fd");
    const std::size_t tebibyte = std::size_t{1} << 40U;
    const shared_mapping memory({.sealed_bytes = tebibyte, .open_bytes = tebibyte});
    CHECK(file_behind(memory.sealed()).starts_with("/memfd:forkflow"));
    CHECK(file_behind(memory.open()).starts_with("/memfd:forkflow"));
    write_to(memory.sealed() + tebibyte - 1);
    write_to(memory.open() + tebibyte - 1);
    CHECK(entries_of("/dev/shm") == before);
    CHECK(entries_of("/proc/self/fd") == descriptors + 1); // for handing it to another process
}

TEST_CASE("A mapping that cannot be made is an error that names the call") {
    try {
        const shared_mapping memory({.sealed_bytes = std::size_t{1} << 60U, .open_bytes = page_bytes});
        FAIL("no exception");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()).find("mmap") != std::string::npos);
    }
}

TEST_CASE("Pages take memory when they are first written") {
    const shared_mapping memory({.sealed_bytes = 64 * page_bytes, .open_bytes = 1024 * page_bytes});
    CHECK(resident_kib(memory.open()) == 0);
    write_to(memory.open() + 500 * page_bytes);
    CHECK(resident_kib(memory.open()) == page_bytes / 1024);
    CHECK(resident_kib(memory.sealed()) == 0);
}

TEST_CASE("Fresh rings have the memory of all words and slots, and none for large messages") {
    pool_options options = resolved(
        {.workers = 4, .window = 1000, .requests = 1000, .max_message_bytes = std::size_t{1} << 30U});
    const rings shared(options, 0); // terabytes of address space
    const auto before_extents = [](const std::byte* part, const slot& first) {
        return static_cast<std::size_t>(first.extent.data() - part) / 1024;
    };
    const std::size_t sealed_kib = before_extents(shared.memory().sealed(), shared.request(0));
    const std::size_t own_kib = before_extents(shared.memory().own(0), shared.result({}));
    const std::size_t open_kib = resident_kib(shared.memory().open());
    CHECK(resident_kib(shared.memory().sealed()) == sealed_kib);
    CHECK(resident_kib(shared.memory().own(0)) == 4 * own_kib); // they are neighbours
    constexpr std::size_t slot_bytes = inline_bytes + sizeof(slot_header);
    CHECK(sealed_kib <= 2048 * slot_bytes / 1024 + 4 * 1002 * 4 / 1024 + 12);
    CHECK(open_kib >= 2048 * sizeof(state_cell) / 1024);
    CHECK(open_kib <= 2048 * sizeof(state_cell) / 1024 + 12);
    CHECK(own_kib <= 1002 * (slot_bytes + sizeof(place_words)) / 1024 + 4);
    std::memset(shared.result({.seat = 1, .place = 3}).extent.data(), 1, 10);
    CHECK(resident_kib(shared.memory().own(0)) == 4 * own_kib + page_bytes / 1024);
}

TEST_CASE("The slots of the rings are apart from each other") {
    const pool_options options =
        resolved({.workers = 3, .window = 5, .requests = 6, .max_message_bytes = 100'000});
    const rings shared(options, 0U - 3);
    CHECK(shared.capacity() == 16);
    const auto check_apart = [](const slot& one, const slot& other) {
        CHECK(&one.header + 1 == &other.header);
        CHECK(one.inline_area.size() == inline_bytes);
        CHECK(one.inline_area.data() + one.inline_area.size() <= other.inline_area.data());
        CHECK(reinterpret_cast<std::uintptr_t>(one.inline_area.data()) % cache_line_bytes == 0);
        CHECK(one.extent.data() + one.extent.size() <= other.extent.data());
        CHECK(one.extent.size() >= 100'000);
        CHECK(reinterpret_cast<std::uintptr_t>(one.inline_area.data()) % payload_alignment == 0);
    };
    for (sequence i = 0; i + 1 < shared.capacity(); ++i) {
        check_apart(shared.request(i), shared.request(i + 1));
        CHECK(&shared.request(i).header == &shared.request(i + shared.capacity()).header);
    }
    const slot last_request = shared.request(shared.capacity() - 1);
    CHECK(last_request.inline_area.data() + last_request.inline_area.size() <=
          reinterpret_cast<std::byte*>(&shared.request(0).header));
    CHECK(reinterpret_cast<std::byte*>(&last_request.header + 1) <= shared.request(0).extent.data());
    CHECK(shared.places() == 7);
    for (std::uint32_t seat = 0; seat < 3; ++seat) {
        for (std::uint32_t place = 0; place + 1 < shared.places(); ++place) {
            check_apart(shared.result({seat, place}), shared.result({seat, place + 1}));
            CHECK(&shared.words_of({seat, place}) + 1 == &shared.words_of({seat, place + 1}));
        }
        const slot last = shared.result({seat, shared.places() - 1});
        const slot first = shared.result({seat, 0});
        CHECK(first.inline_area.data() == shared.memory().own(seat));
        CHECK(last.inline_area.data() + last.inline_area.size() <=
              reinterpret_cast<std::byte*>(&first.header));
        CHECK(reinterpret_cast<std::byte*>(&last.header + 1) <=
              reinterpret_cast<std::byte*>(&shared.words_of({seat, 0})));
        CHECK(reinterpret_cast<std::byte*>(&shared.words_of({seat, 0}) + shared.places()) <=
              shared.result({seat, 0}).extent.data());
        CHECK(last.extent.data() + last.extent.size() <= shared.memory().own(seat + 1));
    }
    for (std::uint32_t seat = 0; seat + 1 < 3; ++seat) {
        CHECK(reinterpret_cast<std::byte*>(&shared.words_of(seat)) + sizeof(last_words) <=
              reinterpret_cast<std::byte*>(&shared.words_of(seat + 1)));
    }
}

TEST_CASE("The places for results are as many as the window has, or four times a worker's share") {
    const auto places = [](std::size_t workers, std::size_t window) {
        const rings shared(resolved({.workers = workers, .window = window}), 0);
        return shared.places() - 2; // one for what is being made, and one for the next to emit
    };
    CHECK(places(1, 1) == 1);
    CHECK(places(1, 100) == 100);
    CHECK(places(4, 100) == 100);
    CHECK(places(5, 100) == 80);
    CHECK(places(50, 100) == 16);
    CHECK(places(50, 3) == 3);
    CHECK(places(64, 640) == 40);
}

TEST_CASE("A length that a slot cannot hold has no payload") {
    const pool_options options = resolved({.workers = 1, .window = 1, .max_message_bytes = 1000});
    const rings shared(options, 0);
    const slot place = shared.result({});
    CHECK(place.payload(0).empty());
    CHECK(place.payload(inline_bytes).data() == place.inline_area.data());
    CHECK(place.payload(inline_bytes + 1).data() == place.extent.data());
    CHECK(place.payload(place.extent.size()).size() == place.extent.size());
    CHECK(place.payload(place.extent.size() + 1).empty());
    CHECK(place.payload(~std::size_t{0}).empty());
}

} // namespace shared_mapping_test
