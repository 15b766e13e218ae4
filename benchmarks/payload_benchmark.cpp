// SPDX-License-Identifier: MIT
// What large messages cost: from 8 bytes to 64 MiB in and out, with bodies that copy and bodies that read and
// write in place, as a multiple of one memcpy of the same bytes; what memory stays behind; and what page
// faults cost.
#include "instruments/effort.hpp"
#include "instruments/messages.hpp"
#include "instruments/process_costs.hpp"
#include "instruments/readiness.hpp"
#include "instruments/rows.hpp"

#include <forkflow/ordered_process_node.hpp>
#include <forkflow/result_writer.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace forkflow_benchmark {
namespace {

namespace flow = tbb::flow;
constexpr std::size_t mib = std::size_t{1} << 20U;

/// Decoded in the worker, given back as it is, and encoded again.
struct copying_body {
    static constexpr bool verifies = true; ///< as by default
    sized_message operator()(sized_message in) const { return in; }
};
/// Copied once, from where the request lies to where the result lies.
struct in_place_body {
    static constexpr bool verifies = false; ///< as for large results that no wild pointer threatens
    void operator()(std::span<const std::byte> in, forkflow::result_writer<sized_message>& out) const {
        std::memcpy(out.resize(in.size()).data(), in.data(), in.size());
    }
};

/// About as many bytes for each size, within limits.
std::uint64_t messages_of(std::size_t size_bytes) {
    return scaled(std::clamp<std::uint64_t>(256 * mib / size_bytes, 8, 20'000));
}

struct payload_pass {
    seconds time_of_one{0};
    double faults_per_message = 0;
    seconds running{0};        ///< of all processors, per message
    double held_mib = 0;       ///< of the shared mapping, right after the last large message
    double held_later_mib = 0; ///< 2.5 s after, while small ones follow; not a number: not measured
};

double shared_memory_mib() {
    return static_cast<double>(field_of("/proc/self/status", "RssShmem:")) / 1024;
}

/// A node with its graph. The mapping is counted in the parent, which touches all of it that workers touch.
template <class Body>
class echo {
public:
    explicit echo(std::size_t most_bytes)
        : node_(g_,
                {.workers = 2,
                 .window = std::clamp<std::size_t>(128 * mib / most_bytes, 2, 20),
                 .max_message_bytes = most_bytes + 64,
                 .verify_results = Body::verifies,
                 .worker_init = ready_.worker_init()},
                Body())
        , sink_(g_, flow::serial, [this](const sized_message& message) noexcept {
            out_.take(number_of(message));
            last_bytes_ = message.size();
        }) {
        flow::make_edge(node_, sink_);
        ready_.wait_for(2);
    }
    /// So many messages at the most have places of their own before one is used again.
    [[nodiscard]] std::uint64_t lap() const {
        const forkflow::statistics now = node_.statistics();
        return std::bit_ceil(now.window + now.requests);
    }
    void send(sized_message& message, std::uint64_t count) {
        for (; count > 0; --count, ++next_) {
            std::memcpy(message.data(), &next_, sizeof(next_));
            node_.put(message, std::chrono::hours(1));
        }
        g_.wait_for_all();
        out_.check(next_);
        if (last_bytes_ != message.size()) {
            throw std::runtime_error("a message came out with another size");
        }
    }

private:
    using sink_node = flow::function_node<sized_message, flow::continue_msg, flow::lightweight>;

    readiness ready_;
    flow::graph g_;
    forkflow::ordered_process_node<sized_message, sized_message, flow::rejecting> node_;
    in_order out_;
    std::size_t last_bytes_ = 0;
    std::uint64_t next_ = 0;
    sink_node sink_;
};

/// What is held once small messages have followed for so long that pages have gone back: they do so about a
/// second after their last use.
template <class Body>
double least_held_mib(echo<Body>& node, sized_message& message) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2'500);
    message.resize(8);
    double least = shared_memory_mib();
    while (std::chrono::steady_clock::now() < end) {
        node.send(message, 100);
        least = std::min(least, shared_memory_mib());
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return least;
}

template <class Body>
payload_pass measure(std::size_t size_bytes) {
    const double held_before = shared_memory_mib();
    echo<Body> node(size_bytes);
    sized_message message(size_bytes);
    const std::uint64_t count = messages_of(size_bytes);
    // Up to 1 MiB, until each worker has likely used each place: pages are touched for the first time in the
    // first laps only. Larger messages would take too long for that.
    node.send(message, size_bytes <= mib ? 3 * node.lap() : count / 10 + 1);

    const process_costs before = costs_of_all();
    payload_pass pass;
    pass.time_of_one = timed([&] { node.send(message, count); });
    const process_costs costs = costs_of_all() - before;
    const auto messages = static_cast<double>(count);
    pass.time_of_one /= messages;
    pass.faults_per_message = static_cast<double>(costs.minor_faults) / messages;
    pass.running = seconds(costs.running) / messages;
    pass.held_mib = shared_memory_mib() - held_before;
    pass.held_later_mib = std::numeric_limits<double>::quiet_NaN();
    if (size_bytes == 16 * mib) {
        pass.held_later_mib = least_held_mib(node, message) - held_before;
    }
    return pass;
}

/// One memcpy from one buffer to another, both touched before.
seconds plain_memcpy(std::size_t size_bytes) {
    const sized_message from(size_bytes);
    sized_message to(size_bytes);
    const std::uint64_t count = messages_of(size_bytes);
    return timed([&] {
               for (std::uint64_t i = 0; i < count; ++i) {
                   std::memcpy(to.data(), from.data(), size_bytes);
                   benchmark::DoNotOptimize(to.data());
                   benchmark::ClobberMemory();
               }
           }) /
           static_cast<double>(count);
}

/// Two each way: as a message is encoded, decoded, encoded and decoded again.
seconds four_memcpys(std::size_t size_bytes) {
    std::array<sized_message, 5> buffers;
    buffers.fill(sized_message(size_bytes));
    const std::uint64_t count = messages_of(size_bytes);
    return timed([&] {
               for (std::uint64_t i = 0; i < count; ++i) {
                   for (std::size_t to = 1; to < buffers.size(); ++to) {
                       std::memcpy(buffers[to].data(), buffers[to - 1].data(), size_bytes);
                       benchmark::DoNotOptimize(buffers[to].data());
                       benchmark::ClobberMemory();
                   }
               }
           }) /
           static_cast<double>(count);
}

/// What the first touch of a page costs, of memory that processes share.
seconds time_of_a_fault() {
    constexpr std::size_t pages = 8192;
    constexpr std::size_t page_bytes = 4096;
    void* const memory =
        ::mmap(nullptr, pages * page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    auto* const bytes = static_cast<volatile std::byte*>(memory);
    const seconds taken = timed([&] {
        for (std::size_t page = 0; page < pages; ++page) {
            bytes[page * page_bytes] = std::byte{1};
        }
    });
    ::munmap(memory, pages * page_bytes);
    return taken / static_cast<double>(pages);
}

template <class Body>
void add_payload(const std::string& way, std::size_t size_bytes) {
    add_benchmark("payload/" + way + "/" + std::to_string(size_bytes), way, [=](benchmark::State& state) {
        const payload_pass pass = measure<Body>(size_bytes);
        const seconds plain = plain_memcpy(size_bytes);
        const seconds fault = time_of_a_fault();
        state.SetIterationTime(pass.time_of_one.count());
        state.counters["x"] = static_cast<double>(size_bytes);
        state.counters["ns"] = pass.time_of_one.count() * 1e9;
        state.counters["memcpy_ns"] = plain.count() * 1e9;
        state.counters["ratio"] = pass.time_of_one / plain;
        state.counters["faults_per_message"] = pass.faults_per_message;
        state.counters["fault_ns"] = fault.count() * 1e9;
        state.counters["share_in_faults"] = pass.faults_per_message * fault / pass.running;
        state.counters["held_mib"] = pass.held_mib;
        if (!std::isnan(pass.held_later_mib)) {
            state.counters["held_later_mib"] = pass.held_later_mib;
        }
    });
}

} // namespace

void register_benchmarks() {
    add_comparison(
        {.name = "payload/1_MiB/copying/to_memcpy",
         .what = "1 MiB in, 1 MiB out: bandwidth to two memcpys each way",
         .at_least = 0.5},
        [] { return measure<copying_body>(mib).time_of_one; }, [] { return four_memcpys(mib); });
    add_comparison(
        {.name = "payload/1_MiB/in_place/to_memcpy",
         .what = "1 MiB in, 1 MiB out, in place in the worker, without `verify_results`: bandwidth to two "
                 "memcpys each way",
         .at_least = 0.5},
        [] { return measure<in_place_body>(mib).time_of_one; }, [] { return four_memcpys(mib); });
    for (std::size_t size_bytes = 8; size_bytes <= 64 * mib; size_bytes *= size_bytes < 16 * mib ? 8 : 4) {
        if ((chosen_effort() == effort::smoke && size_bytes > mib) ||
            (chosen_effort() == effort::quick && size_bytes > 16 * mib)) {
            continue;
        }
        add_payload<copying_body>("copying", size_bytes);
        add_payload<in_place_body>("in_place", size_bytes);
    }
}

} // namespace forkflow_benchmark
