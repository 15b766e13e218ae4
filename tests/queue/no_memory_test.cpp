// SPDX-License-Identifier: MIT
// Memory that is not to be had: a pool is not made, each message that would need it is a failure with that
// name in its place, and nobody dies of SIGBUS.
#include "fuzz/counted_memory.hpp"
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/pool_file.hpp"
#include "support/sanitized.hpp"

#include <forkflow/ordered_process_queue.hpp>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

namespace no_memory_test {

struct refused_message {
    int number = 0;
};
struct refusal : std::exception {
    [[nodiscard]] const char* what() const noexcept override {
        return "this message is refused, and this sentence is too long for a small string";
    }
};

} // namespace no_memory_test

template <>
struct forkflow::codec<no_memory_test::refused_message> {
    static void encode(const no_memory_test::refused_message& message, writer& out) {
        if (message.number == 1) {
            throw no_memory_test::refusal();
        }
        out.write_value(message.number);
    }
    static no_memory_test::refused_message decode(reader& in) { return {in.read_value<int>()}; }
};

namespace no_memory_test {

using forkflow::failure;
using forkflow::failure_kind;
using forkflow_test::bounded_test;
using forkflow_test::file_of_pool;

namespace {

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<bool> system_refuses{false};

} // namespace

/// In place of the C library's: the kernel's answer, or a refusal to give pages to this process. As the
/// kernel's, it comes half way, and what is there by then stays.
extern "C" int madvise(void* address, std::size_t bytes, int advice) noexcept {
    constexpr int populate_write = 23;
    if (advice == populate_write && system_refuses.load()) {
        constexpr std::size_t page = forkflow::nodes::page_bytes;
        ::syscall(SYS_madvise, address, bytes / 2 / page * page, advice);
        errno = EFAULT;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_madvise, address, bytes, advice));
}

namespace {

using bytes = std::vector<char>;
using outcome = std::variant<bytes, failure>;
using queue_of_bytes = forkflow::ordered_process_queue<std::size_t, outcome>;

constexpr std::size_t large = 300'000;

forkflow::pool_options one_worker(bool verifies = false) {
    return {.workers = 1, .window = 4, .verify_results = verifies};
}

struct stat about_file(int file) {
    struct stat about {};
    REQUIRE(::fstat(file, &about) == 0);
    return about;
}

/// The pool's file, cut off where the first result that outgrows its slot would lie: whoever touches a page
/// behind it gets SIGBUS, as if there were no memory. Grows back at the end, or before.
class cut_off_results {
public:
    cut_off_results() {
        const forkflow::pool_options options = forkflow::resolved(one_worker());
        const forkflow::nodes::rings alike(options, 0);
        REQUIRE(about_file(alike.memory().file()).st_size == size_);
        const auto behind = static_cast<off_t>(alike.result({}).extent.data() - alike.memory().sealed()) +
                            static_cast<off_t>(forkflow::nodes::page_bytes);
        REQUIRE(::ftruncate(file_, behind) == 0);
    }
    ~cut_off_results() { end(); }
    void end() const { ::ftruncate(file_, size_); } // NOLINT(cert-err33-c)
    cut_off_results(const cut_off_results&) = delete;
    cut_off_results& operator=(const cut_off_results&) = delete;

private:
    int file_ = file_of_pool();
    off_t size_ = about_file(file_).st_size;
};

outcome outcome_of(queue_of_bytes& queue, std::size_t message) {
    REQUIRE(queue.put(message));
    auto got = queue.get();
    REQUIRE(got);
    return *got;
}

bool is_no_memory(const outcome& found, std::size_t least_bytes) {
    const auto* const lost = std::get_if<failure>(&found);
    return lost != nullptr && lost->kind == failure_kind::no_memory && lost->size_bytes >= least_bytes &&
           lost->what.find("no memory") != std::string::npos;
}

bool is_result(const outcome& found, std::size_t size) {
    const auto* const result = std::get_if<bytes>(&found);
    return result != nullptr && *result == bytes(size, 'x');
}

} // namespace

TEST_CASE("A pool for whose words and slots there is no memory is not made, and the error names the call") {
    const bounded_test bounds;
    const auto make = [] { queue_of_bytes(one_worker(), [](std::size_t size) { return bytes(size); }); };
    system_refuses = true;
    std::string error;
    std::error_code code;
    try {
        make();
    } catch (const std::system_error& refused) {
        error = refused.what();
        code = refused.code();
    }
    system_refuses = false;
    CHECK(error.find("madvise of the forkflow rings") == 0);
    CHECK(code == std::errc::not_enough_memory);
    CHECK(file_of_pool() == -1); // nothing is left of it
    make();
}

TEST_CASE("Once a pool is made, small messages, small failures and deaths of workers need no further memory "
          "of it") {
    const bounded_test bounds;
    queue_of_bytes queue(
        forkflow::pool_options{.workers = 2, .window = 40, .attempts = 2, .recycle_after = 50},
        [](std::size_t size) {
            if (size == 3) {
                throw std::runtime_error("three");
            }
            if (size == 5) {
                std::abort();
            }
            return bytes(size, 'x');
        });
    const int file = file_of_pool();
    const auto before = about_file(file).st_blocks;
    CHECK(before > 0);
    for (std::size_t i = 0; i < 1000; ++i) { // through each slot, more than once
        // Unoptimised, as under a sanitizer, stacks are so deep that a record takes a page.
        const bool throws = !forkflow_test::sanitized && i % 20 == 3;
        const std::size_t size = i % 200 == 5 ? 5 : throws ? 3 : 20 + i % 200;
        const outcome found = outcome_of(queue, size);
        CHECK(std::holds_alternative<failure>(found) == (size < 20));
    }
    CHECK(queue.statistics().deaths == 10);
    CHECK(about_file(file).st_blocks == before);
}

TEST_CASE("A result for which there is no memory is a failure with that name, in the worker that goes on") {
    const bounded_test bounds;
    const bool verifies = GENERATE(false, true);
    queue_of_bytes queue(one_worker(verifies), [](std::size_t size) { return bytes(size, 'x'); });
    CHECK(is_result(outcome_of(queue, 10), 10));
    const cut_off_results cut;
    for (int i = 0; i < 3; ++i) { // also when the handler has been used before
        CHECK(is_no_memory(outcome_of(queue, large), large));
        CHECK(is_result(outcome_of(queue, 10), 10)); // which needs none
    }
    cut.end();
    for (int i = 0; i < 5; ++i) {
        CHECK(is_result(outcome_of(queue, large), large));
    }
    CHECK(queue.statistics().deaths == 0);
}

TEST_CASE("A result that is written in place is refused if there is no room for it") {
    const bounded_test bounds;
    const bool verifies = GENERATE(false, true);
    queue_of_bytes queue(one_worker(verifies), [](std::size_t size, forkflow::result_writer<bytes>& out) {
        for (char& each : out.resize(size)) {
            each = 'x';
        }
    });
    const cut_off_results cut;
    CHECK(is_no_memory(outcome_of(queue, large), large));
    CHECK(is_result(outcome_of(queue, 100), 100));
    cut.end();
    CHECK(is_result(outcome_of(queue, large), large));
    CHECK(queue.statistics().deaths == 0);
}

TEST_CASE("A failure that needs more than its slot says less if there is no memory") {
    const bounded_test bounds;
    const bool verifies = GENERATE(false, true);
    queue_of_bytes queue(one_worker(verifies), [](std::size_t size) -> bytes {
        throw std::runtime_error("much to say: " + std::string(size, 'y'));
    });
    const cut_off_results cut;
    const outcome found = outcome_of(queue, 5000);
    REQUIRE(std::holds_alternative<failure>(found));
    CHECK(std::get<failure>(found).kind == failure_kind::threw);
    CHECK(std::get<failure>(found).what.find("much to say: yyyy") == 0);
    CHECK(queue.statistics().deaths == 0);
}

TEST_CASE("A SIGBUS of the body itself is still a crash") {
    const bounded_test bounds;
    forkflow::pool_options options = one_worker();
    options.attempts = 1;
    queue_of_bytes queue(options, [](std::size_t size) {
        if (size == 1) {
            const int file = ::memfd_create("empty", MFD_CLOEXEC);
            void* const nothing = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            *static_cast<volatile char*>(nothing) = 1;
        }
        return bytes(size, 'x');
    });
    const outcome found = outcome_of(queue, 1);
    REQUIRE(std::holds_alternative<failure>(found));
    CHECK(std::get<failure>(found).kind == failure_kind::crashed);
    CHECK(std::get<failure>(found).signal == SIGBUS);
    CHECK(std::get<failure>(found).stack_trace.frames.size() > 1);
    CHECK(is_result(outcome_of(queue, large), large));
}

TEST_CASE("A result that the parent has no memory to read is a failure with that name") {
    const bounded_test bounds;
    const bool verifies = GENERATE(false, true);
    queue_of_bytes queue(one_worker(verifies), [](std::size_t size) { return bytes(size, 'x'); });
    system_refuses = true; // in this process
    CHECK(is_no_memory(outcome_of(queue, large), 0));
    CHECK(is_result(outcome_of(queue, 10), 10));
    system_refuses = false;
    CHECK(is_result(outcome_of(queue, large), large));
}

TEST_CASE("A request for which there is no memory is a failure with that name, in its place") {
    const bounded_test bounds;
    using sizes = std::variant<std::size_t, failure>;
    forkflow::ordered_process_queue<bytes, sizes> queue(one_worker(),
                                                        [](const bytes& message) { return message.size(); });
    const auto size_of = [&](std::size_t size) {
        REQUIRE(queue.put(bytes(size)));
        auto got = queue.get();
        REQUIRE(got);
        return sizes(*got);
    };
    const auto is = [](const sizes& found, std::size_t size) {
        return std::holds_alternative<std::size_t>(found) && std::get<std::size_t>(found) == size;
    };
    system_refuses = true;
    const sizes refused = size_of(large);
    const sizes small = size_of(10);
    system_refuses = false;
    REQUIRE(std::holds_alternative<failure>(refused));
    CHECK(std::get<failure>(refused).kind == failure_kind::no_memory);
    CHECK(std::get<failure>(refused).size_bytes >= large);
    CHECK(std::get<failure>(refused).sequence == 0);
    CHECK(is(small, 10));
    CHECK(is(size_of(large), large));
}

TEST_CASE("A request for which memory is there only in part gives that part back") {
    const bounded_test bounds;
    using sizes = std::variant<std::size_t, failure>;
    forkflow::ordered_process_queue<bytes, sizes> queue(one_worker(),
                                                        [](const bytes& message) { return message.size(); });
    const int file = file_of_pool();
    const auto before = about_file(file).st_blocks;
    for (int i = 0; i < 8; ++i) { // through each slot, more than once
        system_refuses = true;
        const bool put = queue.put(bytes(large));
        system_refuses = false;
        REQUIRE(put);
        const auto got = queue.get();
        REQUIRE(got);
        CHECK(std::holds_alternative<failure>(*got));
        CHECK(about_file(file).st_blocks == before);
    }
    REQUIRE(queue.put(bytes(large)));
    const auto got = queue.get();
    REQUIRE(got);
    CHECK(std::holds_alternative<std::size_t>(*got));
    CHECK(about_file(file).st_blocks > before);
}

TEST_CASE("A buffer for which there is no memory is not made, and takes no room") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<forkflow::buffer, std::size_t> queue(
        forkflow::pool_options{.workers = 1, .buffer_bytes = large},
        [](std::span<const std::byte> message) { return message.size(); });
    system_refuses = true;
    CHECK_THROWS_AS(queue.make_buffer(large), std::bad_alloc);
    CHECK_THROWS_AS(queue.try_make_buffer(large), std::bad_alloc);
    system_refuses = false;
    const auto make_without_memory = [&] {
        const forkflow_fuzz::memory_budget none(0);
        return queue.make_buffer(large / 4);
    };
    for (int i = 0; i < 3; ++i) {
        CHECK_THROWS_AS(make_without_memory(), std::bad_alloc);
    }
    REQUIRE(queue.put(queue.make_buffer(large)));
    CHECK(queue.get().value() == large);
}

TEST_CASE("A buffer that goes while there is no memory leaves its room to others") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<forkflow::buffer, std::size_t> queue(
        forkflow::pool_options{.workers = 1, .buffer_bytes = large},
        [](std::span<const std::byte> message) { return message.size(); });
    for (int i = 0; i < 3; ++i) {
        std::optional<forkflow::buffer> first = queue.make_buffer(large / 4);
        std::optional<forkflow::buffer> second = queue.make_buffer(large / 4);
        const forkflow_fuzz::memory_budget none(0);
        first.reset();
        second.reset();
    }
    CHECK(queue.try_make_buffer(large));
}

TEST_CASE("A message that cannot be encoded has its outcome, though there is no memory to say why") {
    const bounded_test bounds;
    using number_or_failure = std::variant<int, failure>;
    forkflow::ordered_process_queue<refused_message, number_or_failure> queue(
        1, [](const refused_message& message) { return message.number; });
    REQUIRE(queue.put({0}));
    const auto put_without_memory = [&](const refused_message& message) {
        const forkflow_fuzz::memory_budget none(0);
        return queue.put(message);
    };
    CHECK(put_without_memory({1}));
    REQUIRE(queue.put({1}));
    REQUIRE(queue.put({2}));
    CHECK(std::get<int>(queue.get(std::chrono::seconds(60)).value()) == 0);
    const auto wordless = std::get<failure>(queue.get(std::chrono::seconds(60)).value());
    CHECK(wordless.kind == failure_kind::no_memory);
    CHECK(wordless.sequence == 1);
    CHECK(std::get<failure>(queue.get(std::chrono::seconds(60)).value()).kind == failure_kind::not_encodable);
    CHECK(std::get<int>(queue.get(std::chrono::seconds(60)).value()) == 2);
}

} // namespace no_memory_test
