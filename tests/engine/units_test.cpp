// SPDX-License-Identifier: MIT
// The engine's small parts, each by itself: numbers, words, sets, options, records, descriptors and stacks.
#include "support/catch.hpp"
#include "support/cpus.hpp"
#include "support/sanitized.hpp"

#include <forkflow/nodes/commit_log.hpp>
#include <forkflow/nodes/descriptor.hpp>
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/giving_way.hpp>
#include <forkflow/nodes/pool_options.hpp>
#include <forkflow/nodes/protocol.hpp>
#include <forkflow/nodes/seat_set.hpp>
#include <forkflow/nodes/sequence.hpp>
#include <forkflow/nodes/stack_trace.hpp>
#include <forkflow/nodes/system_call.hpp>
#include <forkflow/nodes/throw_point.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace units_test {

using namespace forkflow;
using namespace forkflow::nodes;
using forkflow_test::sanitized;

TEST_CASE("Sequences are compared by serial arithmetic, across their wrap") {
    const std::vector<std::uint32_t> steps = {1, 2, 1000, 0x7FFFFFFF};
    for (const sequence from : {0U, 1U, 77U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU, 0U - 500}) {
        CHECK(distance(from, from) == 0);
        CHECK_FALSE(before(from, from));
        for (const std::uint32_t step : steps) {
            CAPTURE(from, step);
            CHECK(distance(from, from + step) == static_cast<std::int32_t>(step));
            CHECK(distance(from + step, from) == -static_cast<std::int32_t>(step));
            CHECK(before(from, from + step));
            CHECK_FALSE(before(from + step, from));
        }
    }
}

TEST_CASE("A state word comes back as it was packed, each field at its limits") {
    for (const sequence number : {0U, 1U, 0x80000000U, 0xFFFFFFFFU}) {
        for (std::uint8_t state = 0; state <= static_cast<std::uint8_t>(message_state::marker); ++state) {
            for (const std::uint32_t attempt : {0U, 1U, max_attempts}) {
                for (const std::uint32_t seat : {0U, 1U, 64U, parent_seat}) {
                    for (const std::uint32_t incarnation : {0U, 1U, incarnation_mask}) {
                        const state_word word{number, static_cast<message_state>(state), attempt, seat,
                                              incarnation};
                        CHECK(state_word::unpacked(word.packed()) == word);
                    }
                }
            }
        }
    }
    CHECK(state_word{}.packed() == 0); // fresh memory is an empty word
}

TEST_CASE("A message is unfinished until it has an outcome") {
    const auto unfinished = [](message_state state) { return state_word{.state = state}.unfinished(); };
    CHECK(unfinished(message_state::empty));
    CHECK(unfinished(message_state::ready));
    CHECK(unfinished(message_state::claimed));
    CHECK_FALSE(unfinished(message_state::published));
    CHECK_FALSE(unfinished(message_state::failed));
    CHECK_FALSE(unfinished(message_state::marker));
}

TEST_CASE("A set of seats does what a set of numbers does") {
    std::mt19937 random(7);
    seat_set tested{};
    std::set<std::uint32_t> model;
    const auto members = [&tested](std::size_t seats) {
        std::set<std::uint32_t> found;
        for_each_seat(tested, seats, [&](std::uint32_t seat) {
            CHECK(found.insert(seat).second);
            return true;
        });
        return found;
    };
    for (int i = 0; i < 5000; ++i) {
        const auto seat = static_cast<std::uint32_t>(random() % max_workers);
        if (random() % 2 == 0) {
            insert(tested, seat);
            model.insert(seat);
        } else {
            CHECK(erase(tested, seat) == (model.erase(seat) == 1));
        }
        if (i % 100 == 0) {
            CHECK(members(max_workers) == model);
        }
    }
    int visited = 0;
    for_each_seat(tested, max_workers, [&](std::uint32_t) { return ++visited < 3; });
    CHECK(visited == 3);
}

TEST_CASE("Seats that the pool does not have are not visited") {
    seat_set tested{};
    insert(tested, 2);
    insert(tested, 64);
    int visited = 0;
    for_each_seat(tested, 64, [&](std::uint32_t seat) {
        CHECK(seat == 2);
        ++visited;
        return true;
    });
    CHECK(visited == 1);
}

TEST_CASE("Who is held up at the end of a commit for a whole lap does not undo the commit a lap ahead") {
    using forkflow::nodes::message_state;
    constexpr std::uint32_t lap = 8;
    forkflow::nodes::commit_log commits(lap);
    commits.begin(5, message_state::ready);
    CHECK(commits.begun(5) == message_state::ready);
    CHECK(commits.ended(5) == message_state::empty);
    SECTION("in time") {
        commits.end(5, message_state::ready);
        CHECK(commits.ended(5) == message_state::ready);
        CHECK(commits.ended(5 + lap) == message_state::empty);
    }
    SECTION("while the next commit there is under way") {
        commits.begin(5 + lap, message_state::marker);
        commits.end(5, message_state::ready);
        CHECK(commits.begun(5 + lap) == message_state::marker);
        CHECK(commits.ended(5 + lap) == message_state::empty);
        commits.end(5 + lap, message_state::marker);
        CHECK(commits.ended(5 + lap) == message_state::marker);
    }
    SECTION("after it") {
        commits.begin(5 + lap, message_state::ready);
        commits.end(5 + lap, message_state::ready);
        commits.end(5, message_state::ready);
        CHECK(commits.ended(5 + lap) == message_state::ready);
    }
}

TEST_CASE("Options that are left open are filled in") {
    const cpu_set_t cpus = forkflow_test::allowed_cpus();
    const pool_options filled = resolved({});
    CHECK(filled.workers == static_cast<std::size_t>(CPU_COUNT(&cpus)));
    CHECK(filled.window == 10 * filled.workers);
    CHECK(filled.requests == filled.window);
    const pool_options given = resolved({.workers = 3, .window = 7, .requests = 2});
    CHECK((given.workers == 3 && given.window == 7 && given.requests == 2));
    CHECK(resolved({.workers = 4}).window == 40);
    CHECK(resolved({.workers = 4, .window = 9}).requests == 9);
}

TEST_CASE("Only the CPUs that the process may use count") {
    const cpu_set_t before = forkflow_test::allowed_cpus();
    forkflow_test::allow(forkflow_test::only(forkflow_test::last_of(before)));
    const std::size_t workers = resolved({}).workers;
    forkflow_test::allow(before);
    CHECK(workers == 1);
}

TEST_CASE("An option out of its range is refused with field, value and range") {
    const auto refusal = [](const pool_options& options) -> std::string {
        try {
            (void)resolved(options);
        } catch (const std::invalid_argument& refused) {
            return refused.what();
        }
        return "accepted";
    };
    constexpr std::size_t mebi = std::size_t{1} << 20U;
    const std::string prefix = "forkflow::pool_options::";
    CHECK(refusal({.workers = 1024}) == prefix + "workers is 1024, but must be 1 to 1023");
    CHECK(refusal({.workers = 1, .window = mebi + 1}) ==
          prefix + "window is 1048577, but must be 1 to 1048576");
    CHECK(refusal({.workers = 1, .requests = mebi + 1}) ==
          prefix + "requests is 1048577, but must be 1 to 1048576");
    CHECK(refusal({.max_message_bytes = 0}) ==
          prefix + "max_message_bytes is 0, but must be 1 to 1073741824");
    CHECK(refusal({.max_message_bytes = 1024 * mebi + 1}) ==
          prefix + "max_message_bytes is 1073741825, but must be 1 to 1073741824");
    CHECK(refusal({.attempts = 0}) == prefix + "attempts is 0, but must be 1 to 31");
    CHECK(refusal({.attempts = 32}) == prefix + "attempts is 32, but must be 1 to 31");
    CHECK(refusal({.deadline = std::chrono::nanoseconds(-1)}) ==
          prefix + "deadline is -1 ns, but must be 0 or more");
    CHECK(refusal({.keep_descriptors = {3, -4}}) ==
          prefix + "keep_descriptors has -4, but descriptors must be 0 or more");
    CHECK(refusal({.workers = 1023,
                   .window = mebi,
                   .requests = mebi,
                   .max_message_bytes = 1024 * mebi,
                   .attempts = 31}) == "accepted");
    CHECK(refusal({.workers = 1, .window = 1, .requests = 1, .max_message_bytes = 1, .attempts = 1}) ==
          "accepted");
}

namespace {

struct record_buffer {
    alignas(payload_alignment) std::array<std::byte, 240> inline_area;
    alignas(payload_alignment) std::array<std::byte, 65536> extent;
    byte_writer writer{inline_area, extent};
};

failure rich_failure() {
    return {.kind = failure_kind::not_encodable,
            .pid = 4711,
            .size_bytes = std::size_t{1} << 40U,
            .limit_bytes = 77,
            .exception_type = "std::runtime_error",
            .what = std::string("zero \0 inside", 13),
            .stack_trace = {{1, 2, ~std::uintptr_t{0}}}};
}

} // namespace

TEST_CASE("A failure's record gives the failure back") {
    auto buffer = std::make_unique<record_buffer>();
    const failure original = rich_failure();
    write_failure(buffer->writer, original);
    byte_reader from(buffer->writer.written());
    const failure copy = read_failure(from);
    CHECK(copy.kind == original.kind);
    CHECK(copy.pid == original.pid);
    CHECK(copy.size_bytes == original.size_bytes);
    CHECK(copy.limit_bytes == original.limit_bytes);
    CHECK(copy.exception_type == original.exception_type);
    CHECK(copy.what == original.what);
    CHECK(copy.stack_trace.frames == original.stack_trace.frames);
    CHECK(from.remaining() == 0);
}

TEST_CASE("Texts and stacks without end are cut, so that any failure fits the least extent") {
    auto buffer = std::make_unique<record_buffer>();
    failure endless = rich_failure();
    endless.what.assign(10'000'000, 'w');
    endless.exception_type.assign(10'000'000, 't');
    endless.stack_trace.frames.assign(10'000, 5);
    write_failure(buffer->writer, endless);
    CHECK_FALSE(buffer->writer.overflowed());
    byte_reader from(buffer->writer.written());
    const failure copy = read_failure(from);
    CHECK(endless.what.starts_with(copy.what));
    CHECK(copy.what.size() >= 1000);
    CHECK(copy.stack_trace.frames.size() == max_stack_frames);
}

TEST_CASE("Each prefix of a failure's record is refused, and so is any number that cannot be right") {
    auto buffer = std::make_unique<record_buffer>();
    write_failure(buffer->writer, rich_failure());
    const std::span<const std::byte> whole = buffer->writer.written();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        const std::vector<std::byte> prefix(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        byte_reader from(prefix);
        CHECK_THROWS_AS((void)read_failure(from), not_decodable);
    }
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; ++i) { // damaged records are refused, or are failures; never worse
        std::vector<std::byte> damaged(whole.begin(), whole.end());
        for (int changes = 0; changes < 3; ++changes) {
            damaged[random() % damaged.size()] = static_cast<std::byte>(random());
        }
        byte_reader from(damaged);
        try {
            const failure_kind kind = read_failure(from).kind;
            CHECK(kind <= failure_kind::no_memory);
        } catch (const not_decodable&) {
        }
    }
}

TEST_CASE("A descriptor closes what it owns, once") {
    const auto is_open = [](int number) { return ::fcntl(number, F_GETFD) != -1; };
    int number = -1;
    {
        descriptor owner(checked("open", ::open("/dev/null", O_RDONLY | O_CLOEXEC)));
        number = owner.get();
        CHECK(owner);
        descriptor second(std::move(owner));
        CHECK(is_open(number));
        CHECK_FALSE(
            owner); // NOLINT(bugprone-use-after-move): what a moved-from descriptor is, is the question
        owner = std::move(second);
        CHECK(owner.get() == number);
    }
    CHECK_FALSE(is_open(number));
    descriptor empty;
    CHECK_FALSE(empty);
    empty.reset();
    descriptor again(checked("open", ::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    number = again.get();
    again.reset();
    CHECK_FALSE(is_open(number));
    CHECK(again.get() == -1);
}

TEST_CASE("A failed system call throws an error that names it, others are passed on") {
    CHECK(checked("anything", 5) == 5);
    try {
        checked("open of nothing", ::open("/does/not/exist", O_RDONLY | O_CLOEXEC));
        FAIL("no exception");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ENOENT);
        CHECK(std::string(error.what()).find("open of nothing") != std::string::npos);
    }
}

TEST_CASE("An interrupted call is made again, until it succeeds or fails otherwise") {
    int calls = 0;
    CHECK(uninterrupted([&] {
              errno = EINTR;
              return ++calls < 4 ? -1 : 7;
          }) == 7);
    CHECK(calls == 4);
    calls = 0;
    CHECK(uninterrupted([&] {
              errno = ++calls == 1 ? EINTR : EBADF;
              return -1;
          }) == -1);
    CHECK(calls == 2);
}

// ---------------------------------------------------------------------------------------------------------
// Stacks. The functions have external names, so that they are found without debug information too.

namespace engine_units {

[[gnu::noinline]] void throws_here() {
    throw std::runtime_error("here");
}
[[gnu::noinline]] void calls_the_thrower() {
    throws_here();
    asm volatile(""); // not a tail call
}
[[gnu::noinline]] bool handles_inside() {
    try {
        throws_here();
    } catch (const std::runtime_error&) {
        return true;
    }
    return false;
}

} // namespace engine_units

namespace {

stack_trace noted_trace() {
    stack_trace trace;
    for (void* const frame : noted_throw_point()) {
        trace.frames.push_back(reinterpret_cast<std::uintptr_t>(frame));
    }
    return trace;
}

} // namespace

TEST_CASE("The stack of a throw is noted where it was thrown") {
    forget_throw_point();
    CHECK(noted_throw_point().empty());
    bool caught = false;
    try {
        engine_units::calls_the_thrower();
    } catch (const throw_point&) {
        FAIL("a throw_point catches nothing");
    } catch (const std::runtime_error&) {
        caught = true;
    }
    CHECK(caught);
    const std::string text = noted_trace().to_string();
    INFO(text);
    const std::size_t inner = text.find("throws_here");
    const std::size_t outer = text.find("calls_the_thrower");
    REQUIRE(inner != std::string::npos);
    REQUIRE(outer != std::string::npos);
    CHECK(inner < outer);
    // No frame of the runtime is in front; a sanitizer's own interceptor of throw may be.
    CHECK((sanitized || text.starts_with("#0 units_test::engine_units::throws_here")));
    forget_throw_point();
    CHECK(noted_throw_point().empty());
}

TEST_CASE("An exception that is handled further inside notes nothing") {
    forget_throw_point();
    try {
        CHECK(engine_units::handles_inside());
    } catch (const throw_point&) {
    } catch (...) {
    }
    CHECK(noted_throw_point().empty());
}

TEST_CASE("An exception that is thrown again is noted at the last throw that left") {
    forget_throw_point();
    try {
        try {
            engine_units::throws_here();
        } catch (const std::runtime_error&) {
            throw;
        }
    } catch (const throw_point&) {
    } catch (...) {
    }
    CHECK_FALSE(noted_throw_point().empty());
    CHECK(noted_trace().to_string().find("throws_here") == std::string::npos);
}

TEST_CASE("The engine's frames are cut off, unless the stack was cut before it came to them") {
    stack_trace whole{{1, 2, 3, 4, 5}};
    cut_engine_frames(whole, 2);
    CHECK(whole.frames == std::vector<std::uintptr_t>{1, 2, 3});
    cut_engine_frames(whole, 3); // nothing would be left
    CHECK(whole.frames.size() == 3);
    stack_trace deep;
    deep.frames.assign(max_stack_frames, 1);
    cut_engine_frames(deep, 4);
    CHECK(deep.frames.size() == max_stack_frames);
}

TEST_CASE("An address that belongs to nothing is shown as a number") {
    const std::string text = stack_trace{{0x10}}.to_string();
    CHECK(text.find("0x10") != std::string::npos);
    CHECK(stack_trace{}.to_string().empty());
}

TEST_CASE("A failure reads as a sentence, and as an exception carries its stack") {
    const failure crashed{.kind = failure_kind::threw,
                          .sequence = 7,
                          .attempts = 1,
                          .pid = 4711,
                          .exception_type = "std::runtime_error",
                          .what = "no such page"};
    CHECK(describe(crashed) == "threw std::runtime_error: no such page (sequence 7, attempt 1, worker 4711)");
    const process_error error(crashed);
    CHECK(error.details().pid == 4711);
    CHECK(std::string(error.what()) == "forkflow: " + describe(crashed));
    for (int kind = 0; kind <= static_cast<int>(failure_kind::no_memory); ++kind) {
        CHECK(std::string(to_string(static_cast<failure_kind>(kind))) != "unknown");
    }
}

TEST_CASE("Who looks in vain for long sleeps for moments, but only while as many workers as CPUs are awake") {
    const rings shared(forkflow::resolved({.workers = 3}), 0);
    const auto has_slept = [&](std::size_t cpus, int looks, std::size_t inside = 12) {
        giving_way others(shared, cpus, std::chrono::nanoseconds(1));
        while (looks > 0 && !others(inside)) {
            --looks;
        }
        return looks > 0;
    };
    constexpr int many = 10'000'000; // it ends as soon as some microseconds have passed
    CHECK(has_slept(1, many));
    CHECK(has_slept(3, many));
    CHECK_FALSE(has_slept(3, 8));        // not at once
    CHECK_FALSE(has_slept(3, 1000, 11)); // they might run out of messages
    CHECK_FALSE(has_slept(4, 1000));     // a CPU is free
    insert(shared.idle_seats(), 2);
    CHECK(has_slept(2, many));
    CHECK_FALSE(has_slept(3, 1000));
    insert(shared.blocked_seats(), 0);
    insert(shared.blocked_seats(), 1);
    CHECK_FALSE(has_slept(1, 1000));
}

} // namespace units_test
