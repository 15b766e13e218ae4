// SPDX-License-Identifier: MIT
#include <forkflow/nodes/portable_pool.hpp>

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace forkflow::nodes {
namespace {

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
    throw std::invalid_argument("forkflow::pool_options::" + field + " " + why +
                                " if forkflow::pool_options::server is set");
}

template <class... Arguments>
auto plain(const char* field, const std::function<void(Arguments...)>& function) {
    using plain_function = void (*)(Arguments...);
    if (!function) {
        return plain_function(nullptr);
    }
    const plain_function* const target = function.template target<plain_function>();
    if (target == nullptr) {
        refuse(field, "must be a function pointer (a lambda without captures with a + in front)");
    }
    return *target;
}

template <std::size_t Most>
std::size_t copy_numbers(const char* field, const std::vector<int>& from, std::array<int, Most>& to) {
    if (from.size() > Most) {
        refuse(field,
               "has " + std::to_string(from.size()) + " entries, but must have 0 to " + std::to_string(Most));
    }
    std::copy(from.begin(), from.end(), to.begin());
    return from.size();
}

} // namespace

portable_pool to_portable(const pool_options& options, const portable_body& body) {
    portable_pool order{};
    if (body.run == nullptr) {
        throw std::invalid_argument(
            "forkflow::pool_options::server is set, but the body is not trivially copyable");
    }
    if (body.state.size() > order.state.size()) {
        throw std::invalid_argument("forkflow::pool_options::server is set, but the body has " +
                                    std::to_string(body.state.size()) + " bytes; it must have 0 to " +
                                    std::to_string(order.state.size()));
    }
    order.workers = options.workers;
    order.window = options.window;
    order.requests = options.requests;
    order.max_message_bytes = options.max_message_bytes;
    order.window_bytes = options.window_bytes;
    order.buffer_bytes = options.buffer_bytes;
    order.verify_results = options.verify_results;
    order.deadline_ns = options.deadline.count();
    order.recycle_age_ns = options.recycle_age.count();
    order.spin_ns = options.spin.count();
    order.attempts = options.attempts;
    order.recycle_after = options.recycle_after;
    order.recycle_growth_bytes = options.recycle_growth_bytes;
    order.stderr_tail_bytes = options.stderr_tail_bytes;
    order.memory_bytes = options.limits.memory_bytes;
    order.open_files = options.limits.open_files;
    order.cpu_time = options.limits.cpu_time;
    order.niceness = options.limits.niceness;
    order.core_bytes = options.limits.core_bytes;
    order.no_new_privs = options.limits.no_new_privs;
    order.worker_init = plain("worker_init", options.worker_init);
    order.sandbox = plain("sandbox", options.sandbox);
    order.hook = plain("testing.hook", options.testing.hook);
    order.first = options.testing.first_sequence;
    order.cpu_count = copy_numbers("limits.cpus", options.limits.cpus, order.cpus);
    order.kept_count = copy_numbers("keep_descriptors", options.keep_descriptors, order.kept);
    order.run = body.run;
    order.function = body.function;
    order.state_bytes = body.state.size();
    std::copy(body.state.begin(), body.state.end(), order.state.begin());
    return order;
}

pool_options options_of(const portable_pool& order) {
    pool_options options;
    options.workers = order.workers;
    options.window = order.window;
    options.requests = order.requests;
    options.max_message_bytes = order.max_message_bytes;
    options.window_bytes = order.window_bytes;
    options.buffer_bytes = order.buffer_bytes;
    options.verify_results = order.verify_results;
    options.deadline = std::chrono::nanoseconds(order.deadline_ns);
    options.recycle_age = std::chrono::nanoseconds(order.recycle_age_ns);
    options.spin = std::chrono::nanoseconds(order.spin_ns);
    options.attempts = order.attempts;
    options.recycle_after = order.recycle_after;
    options.recycle_growth_bytes = order.recycle_growth_bytes;
    options.stderr_tail_bytes = order.stderr_tail_bytes;
    options.limits.memory_bytes = order.memory_bytes;
    options.limits.open_files = order.open_files;
    options.limits.cpu_time = order.cpu_time;
    options.limits.niceness = order.niceness;
    options.limits.core_bytes = order.core_bytes;
    options.limits.no_new_privs = order.no_new_privs;
    options.limits.cpus.assign(order.cpus.begin(),
                               order.cpus.begin() + static_cast<std::ptrdiff_t>(order.cpu_count));
    if (order.worker_init != nullptr) {
        options.worker_init = order.worker_init;
    }
    if (order.sandbox != nullptr) {
        options.sandbox = order.sandbox;
    }
    if (order.hook != nullptr) {
        options.testing.hook = order.hook;
    }
    options.testing.first_sequence = order.first;
    options.keep_descriptors.assign(order.kept.begin(),
                                    order.kept.begin() + static_cast<std::ptrdiff_t>(order.kept_count));
    return options;
}

bool is_code_loaded(const portable_pool& order) {
    const auto is_loaded = [](auto* function) {
        Dl_info found{};
        return function == nullptr || ::dladdr(reinterpret_cast<void*>(function), &found) != 0;
    };
    return is_loaded(order.run) && is_loaded(order.function) && is_loaded(order.worker_init) &&
           is_loaded(order.sandbox) && is_loaded(order.hook);
}

} // namespace forkflow::nodes
