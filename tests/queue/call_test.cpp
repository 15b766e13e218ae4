// SPDX-License-Identifier: MIT
// Messages that are functions with their arguments: what can be called, what comes back, what is refused.
#include "support/catch.hpp"
#include "support/leftovers.hpp"
#include "support/recorder.hpp"

#include <forkflow/call.hpp>
#include <forkflow/ordered_process_node.hpp>
#include <forkflow/ordered_process_queue.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include <dlfcn.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace std::string_literals;
using forkflow::call;
using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using forkflow_test::bounded_test;

namespace {

using outcome = std::variant<int, failure>;
using queue_of_calls = forkflow::ordered_process_queue<call<int>, outcome>;

int add(int left, int right) {
    return left + right;
}
int length_of(std::string_view text) {
    return static_cast<int>(text.size());
}
int sum_with_timeout(const std::vector<int>& values, std::chrono::milliseconds timeout) noexcept {
    int sum = static_cast<int>(timeout.count());
    for (const int value : values) {
        sum += value;
    }
    return sum;
}

/// Trivially copyable, with state.
struct adder {
    int offset;
    int operator()(int value) const { return value + offset; }
};

/// Joins by a codec of its own; changes while it is called.
struct joiner {
    std::string text{};
    int operator()(const std::string& more) {
        text += more;
        return static_cast<int>(text.size());
    }
};

/// Insists on being sent with the address that it holds.
struct table_reader {
    const int* table;
    int operator()(int index) const { return table[index]; }
};

/// Several functions in one.
struct overloaded {
    int operator()(int value) const { return value; }
    int operator()(const std::string& text) const { return static_cast<int>(text.size()); }
};

const std::string& longer_of(const std::string& left, const std::string& right) {
    return left.size() < right.size() ? right : left;
}

int value_of(const outcome& one) {
    return std::get<int>(one);
}

} // namespace

template <>
struct forkflow::codec<joiner> {
    static void encode(const joiner& value, writer& to) { forkflow::encode(to, value.text); }
    static joiner decode(reader& from) { return {forkflow::decode<std::string>(from)}; }
};

template <>
struct forkflow::codec<table_reader> : forkflow::bytes_codec<table_reader> {};

TEST_CASE("A call brings its function: pointers, lambdas without captures, function objects with state") {
    const bounded_test bounds;
    queue_of_calls queue(2);
    int captured = 5;
    REQUIRE(queue.put(call<int>(add, 1, 2)));
    REQUIRE(queue.put(call<int>(&add, 3, 4)));
    REQUIRE(queue.put(call<int>([] { return 11; })));
    REQUIRE(queue.put(call<int>([](int value) { return value * 2; }, 8)));
    REQUIRE(queue.put(call<int>(adder{100}, 1)));
    REQUIRE(queue.put(call<int>(joiner{"abc"}, "de"s)));
    REQUIRE(queue.put(call<int>([captured](int more) { return captured + more; }, 1)));
    captured = 0;
    queue.stop();
    std::vector<int> all;
    for (const outcome& each : queue) {
        all.push_back(value_of(each));
    }
    CHECK(all == std::vector<int>{3, 7, 11, 16, 101, 5, 6});
}

TEST_CASE("A call's arguments are anything that has a codec, also one called timeout") {
    const bounded_test bounds;
    queue_of_calls queue(pool_options{.workers = 1});
    REQUIRE(queue.put(call<int>(length_of, "five!"s), 60s));
    const std::chrono::milliseconds timeout = 1s;
    REQUIRE(queue.put(call<int>(sum_with_timeout, std::vector{1, 2, 3}, timeout), 60s));
    REQUIRE(
        queue.put(call<int>([](std::unique_ptr<int> owned) { return *owned; }, std::make_unique<int>(7))));
    REQUIRE(queue.put(
        call<int>([](std::tuple<int, int> pair) { return std::get<1>(pair); }, std::tuple<int, int>(1, 9))));
    const int lvalue = 4;
    REQUIRE(queue.put(call<int>([](const int& left, int&& right) { return left - right; }, lvalue, lvalue)));
    CHECK(value_of(*queue.get(60s)) == 5);
    CHECK(value_of(*queue.get()) == 1006);
    CHECK(value_of(*queue.get()) == 7);
    CHECK(value_of(*queue.get()) == 9);
    CHECK(value_of(*queue.get()) == 0);
}

TEST_CASE("A call gives what its function returns, converted, or nothing") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<call<double>, double> doubles(1);
    REQUIRE(doubles.put(call<double>(add, 1, 2)));
    CHECK(doubles.get().value() == 3.0);
    forkflow::ordered_process_queue<call<std::string>, std::string> strings(1);
    REQUIRE(strings.put(call<std::string>([] { return "a text"; })));
    CHECK(strings.get().value() == "a text");
    forkflow::ordered_process_queue<call<void>, std::monostate> nothing(1);
    REQUIRE(nothing.put(call<void>(add, 1, 2)));
    REQUIRE(nothing.put(call<void>([] {})));
    CHECK(nothing.get().has_value());
    CHECK(nothing.get().has_value());
}

TEST_CASE("A call's function may be generic, overloaded or noexcept, and may return a reference") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<call<std::string>, std::string> strings(1);
    REQUIRE(strings.put(call<std::string>(longer_of, "one"s, "three"s)));
    REQUIRE(strings.put(call<std::string>(
        [](const auto& part, auto&&... more) { return (part + ... + more); }, "a"s, "b"s, "c"s)));
    CHECK(strings.get().value() == "three");
    CHECK(strings.get().value() == "abc");
    queue_of_calls queue(1);
    REQUIRE(queue.put(call<int>(overloaded(), 3)));
    REQUIRE(queue.put(call<int>(overloaded(), "four"s)));
    REQUIRE(queue.put(call<int>([](int value) noexcept { return value; }, 5)));
    REQUIRE(queue.put(call<int>([count = 6]() mutable { return count++; })));
    for (const int expected : {3, 4, 5, 6}) {
        CHECK(value_of(*queue.get()) == expected);
    }
}

TEST_CASE("Calls run in other processes") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<call<int>, int> queue(1);
    REQUIRE(queue.put(call<int>(::getpid)));
    CHECK(queue.get().value() != ::getpid());
    CHECK(call<int>(::getpid)() == ::getpid()); // here and now
}

TEST_CASE("What a called function throws comes back with the stack of the throw") {
    const bounded_test bounds;
    queue_of_calls queue(1);
    REQUIRE(queue.put(call<int>([](const std::string& text) { return std::stoi(text); }, "no number"s)));
    REQUIRE(queue.put(call<int>([]() -> int { std::abort(); })));
    const outcome threw = *queue.get();
    CHECK(std::get<failure>(threw).kind == failure_kind::threw);
    CHECK(std::get<failure>(threw).exception_type == "std::invalid_argument");
    CHECK_FALSE(std::get<failure>(threw).stack_trace.empty());
    CHECK(std::get<failure>(*queue.get()).kind == failure_kind::crashed);
}

TEST_CASE("Calls of several kinds, messages and markers mix in a variant") {
    const bounded_test bounds;
    struct batch_done {
        std::shared_ptr<int> count;
    };
    struct both : forkflow::run_call {
        using forkflow::run_call::operator();
        std::string operator()(const std::string& text) const { return text + "!"; }
    };
    using item = std::variant<call<int>, call<std::string>, std::string, batch_done>;
    using mixed = std::variant<int, std::string, batch_done>;
    forkflow::ordered_process_queue<item, mixed> queue(2, both{});
    REQUIRE(queue.put(call<int>(add, 1, 2)));
    REQUIRE(queue.put("text"));
    REQUIRE(queue.put(call<std::string>([] { return "called"s; })));
    REQUIRE(queue.put(batch_done{std::make_shared<int>(3)}));
    CHECK(std::get<int>(*queue.get()) == 3);
    CHECK(std::get<std::string>(*queue.get()) == "text!");
    CHECK(std::get<std::string>(*queue.get()) == "called");
    CHECK(*std::get<batch_done>(*queue.get()).count == 3);
    // Without a body, everything else is a marker.
    using message = std::variant<call<int>, batch_done>;
    forkflow::ordered_process_queue<message, std::variant<int, batch_done>> bodiless(1);
    REQUIRE(bodiless.put(batch_done{std::make_shared<int>(4)}));
    REQUIRE(bodiless.put(call<int>(add, 2, 2)));
    CHECK(*std::get<batch_done>(*bodiless.get()).count == 4);
    CHECK(std::get<int>(*bodiless.get()) == 4);
}

TEST_CASE("Calls are messages of the node, too") {
    const bounded_test bounds;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<call<int>, outcome> node(graph, 2, forkflow::run_call());
    const forkflow_test::recorder<outcome> results(graph, node);
    for (int i = 0; i < 20; ++i) {
        REQUIRE(node.try_put(call<int>(add, i, i)));
    }
    graph.wait_for_all();
    const std::vector<outcome> all = results.values();
    REQUIRE(all.size() == 20);
    for (int i = 0; i < 20; ++i) {
        CHECK(value_of(all[static_cast<std::size_t>(i)]) == 2 * i);
    }
}

TEST_CASE("Calls and markers mix in the node, each in its place") {
    const bounded_test bounds;
    struct batch_done {
        std::shared_ptr<int> count;
    };
    using item = std::variant<call<int>, batch_done>;
    using result = std::variant<int, batch_done, failure>;
    tbb::flow::graph graph;
    forkflow::ordered_process_node<item, result> node(graph, 2, forkflow::run_call());
    const forkflow_test::recorder<result> results(graph, node);
    int mine = 1;
    for (int batch = 0; batch < 5; ++batch) {
        REQUIRE(node.try_put(call<int>(add, batch, 1)));
        REQUIRE(node.try_put(call<int>([&mine] { return mine; })));
        REQUIRE(node.try_put(batch_done{std::make_shared<int>(batch)}));
    }
    graph.wait_for_all();
    const std::vector<result> all = results.values();
    REQUIRE(all.size() == 15);
    for (std::size_t batch = 0; batch < 5; ++batch) {
        CHECK(std::get<int>(all[3 * batch]) == static_cast<int>(batch) + 1);
        CHECK(std::get<failure>(all[3 * batch + 1]).kind == failure_kind::not_encodable);
        CHECK(*std::get<batch_done>(all[3 * batch + 2]).count == static_cast<int>(batch));
    }
}

TEST_CASE("What is captured by reference is a failure, though no compiler can see it") {
    const bounded_test bounds;
    queue_of_calls queue(1);
    int local = 1;
    const auto on_heap = std::make_unique<int>(2);
    struct task {
        int value = 3;
        call<int> made() {
            return call<int>([this] { return value; });
        }
    } with_this;
    REQUIRE(queue.put(call<int>([&] { return local; })));
    REQUIRE(queue.put(call<int>([&local](int more) { return local + more; }, 1)));
#if __has_builtin(__builtin_clear_padding)
    constexpr double five = 5;
#else
    constexpr long five = 5; // what may have padding, or holds a floating-point number, is not looked at
#endif
    REQUIRE(queue.put(call<int>([number = five, at = on_heap.get()] { return *at + int(number); })));
    REQUIRE(queue.put(with_this.made()));
    for (int i = 0; i < 4; ++i) {
        const outcome refused = *queue.get();
        REQUIRE(std::holds_alternative<failure>(refused));
        CHECK(std::get<failure>(refused).kind == failure_kind::not_encodable);
        CHECK(std::get<failure>(refused).what.find("captured by reference") != std::string::npos);
    }
    CHECK(queue.statistics().deaths == 0);
    REQUIRE(queue.put(call<int>(add, 1, 2)));
    CHECK(value_of(*queue.get()) == 3);
}

TEST_CASE("What is captured by value travels, also what belongs to the program, or is said to be bytes") {
    const bounded_test bounds;
    const std::vector<int> table{10, 20, 30};
    queue_of_calls queue(1); // its workers inherit the table
    const char* const text = "text";
    REQUIRE(queue.put(call<int>([number = -1L, other = 1L << 62U, half = 0.5, small = 'a'] {
        return static_cast<int>(number + (other >> 62U)) + static_cast<int>(half * 2) + (small - 'a');
    })));
    REQUIRE(queue.put(call<int>([text] { return length_of(text); })));
    REQUIRE(
        queue.put(call<int>([function = &add](int left, int right) { return function(left, right); }, 3, 4)));
    REQUIRE(queue.put(call<int>(table_reader{table.data()}, 2)));
    for (const int expected : {1, 4, 7, 30}) {
        CHECK(value_of(*queue.get()) == expected);
    }
}

TEST_CASE("A call of a null pointer is refused at once, and one that is none when it is put") {
    const bounded_test bounds;
    using function = int (*)(int, int);
    CHECK_THROWS_AS(call<int>(function{nullptr}, 1, 2), std::invalid_argument);
    queue_of_calls queue(1);
    call<int> moved(add, 1, 2);
    const call<int> target = std::move(moved);
    REQUIRE(queue.put(call<int>()));
    REQUIRE(queue.put(moved)); // NOLINT(bugprone-use-after-move)
    REQUIRE(queue.put(target));
    CHECK(std::get<failure>(*queue.get()).exception_type == "std::bad_function_call");
    CHECK(std::get<failure>(*queue.get()).kind == failure_kind::not_encodable);
    CHECK(value_of(*queue.get()) == 3);
    CHECK_THROWS_AS(call<int>()(), std::bad_function_call);
}

namespace {

using twice_function = int (*)(int);

/// The library, loaded as long as it lives.
class late_library {
public:
    late_library()
        : handle_(::dlopen(FORKFLOW_LATE_LIBRARY, RTLD_NOW)) {
        REQUIRE(handle_ != nullptr);
    }
    ~late_library() { ::dlclose(handle_); }
    late_library(const late_library&) = delete;
    late_library& operator=(const late_library&) = delete;
    [[nodiscard]] twice_function twice() const {
        return reinterpret_cast<twice_function>(::dlsym(handle_, "forkflow_test_twice"));
    }

private:
    void* handle_;
};

} // namespace

TEST_CASE("A function of a library that was loaded after the fork is refused as a failure, not a crash") {
    const bounded_test bounds;
    queue_of_calls queue(pool_options{.workers = 1, .attempts = 1});
    twice_function gone = nullptr;
    {
        const late_library library;
        gone = library.twice();
        REQUIRE(queue.put(call<int>(gone, 4)));
        const outcome refused = *queue.get();
        CHECK(std::get<failure>(refused).kind == failure_kind::not_decodable);
        CHECK(std::get<failure>(refused).what.find("has not loaded") != std::string::npos);
        CHECK(std::get<failure>(refused).attempts == 1);
        queue_of_calls later(1);
        REQUIRE(later.put(call<int>(gone, 4)));
        CHECK(value_of(*later.get()) == 8);
    }
    REQUIRE(queue.put(call<int>(gone, 4))); // of a library that this process has given up
    CHECK(std::get<failure>(*queue.get()).kind == failure_kind::not_encodable);
    CHECK(queue.statistics().deaths == 0);
}

TEST_CASE("A library that worker_init loads is found, wherever it lies there") {
    const bounded_test bounds;
    queue_of_calls queue(pool_options{.workers = 1, .worker_init = [] {
                                          (void)::dlopen("libpthread.so.0", RTLD_NOW);
                                          (void)::dlopen("libz.so.1", RTLD_NOW); // takes the first address
                                          (void)::dlopen(FORKFLOW_LATE_LIBRARY, RTLD_NOW);
                                      }});
    const late_library library;
    REQUIRE(queue.put(call<int>(library.twice(), 21)));
    CHECK(value_of(*queue.get()) == 42);
}

TEST_CASE("A call is no result: the parent runs no code that a worker names") {
    const bounded_test bounds;
    forkflow::ordered_process_queue<int, std::variant<call<int>, failure>> back(
        pool_options{.workers = 1}, [](int message) { return call<int>(&add, message, 1); });
    REQUIRE(back.put(1));
    CHECK(std::get<failure>(*back.get()).kind == failure_kind::not_encodable);
    const std::vector<std::byte> bytes(64); // as a broken worker may write them
    forkflow::reader of_a_result(bytes);
    CHECK_THROWS_AS(forkflow::codec<call<int>>::decode(of_a_result), forkflow::not_decodable);
}

TEST_CASE("An address that is no code is refused") {
    int data = 0;
    CHECK_THROWS_AS(forkflow::nodes::locate(reinterpret_cast<std::uintptr_t>(&data)), std::invalid_argument);
    const auto place = forkflow::nodes::locate(reinterpret_cast<std::uintptr_t>(&add));
    CHECK(forkflow::nodes::address_of(place) == reinterpret_cast<std::uintptr_t>(&add));
    CHECK(forkflow::nodes::in_module(reinterpret_cast<std::uintptr_t>(&add)));
    CHECK_FALSE(forkflow::nodes::in_module(reinterpret_cast<std::uintptr_t>(&data)));
    CHECK_THROWS_AS(forkflow::nodes::address_of({place.module, ~std::uint64_t{0}}), forkflow::not_decodable);
    CHECK_THROWS_AS(forkflow::nodes::address_of({place.module + 1, place.offset_bytes}),
                    forkflow::not_decodable);
}
