// SPDX-License-Identifier: MIT
#include "support/random_graph.hpp"

#include "support/random_values.hpp"
#include "support/routed_message.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <unistd.h>

namespace forkflow_test {
namespace {

namespace flow = tbb::flow;

constexpr auto for_ever = std::chrono::hours(1000000000);

using message = routed_message;
using messages = routed_messages;

/// What a stage does in its worker: it notes that it was here, and sometimes takes its time.
struct stage_body {
    std::uint8_t index;
    unsigned slow_every; ///< 0: never

    message operator()(message one) const {
        while (one.hangs) {
            ::pause();
        }
        if (slow_every != 0 && (one.number * 7U + one.source + index) % slow_every == 0) {
            const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
            while (std::chrono::steady_clock::now() < end) {
            }
        }
        one.stages[one.hops++] = index;
        return one;
    }
};

/// An ordered node, and a successor that notes what it emits, in the thread that emits it.
struct stage {
    std::unique_ptr<flow::graph_node> node;
    flow::receiver<message>* in = nullptr;
    flow::sender<message>* out = nullptr;
    std::function<bool(const message&)> put;
    std::function<forkflow::statistics()> statistics;
    bool rejecting = false;
    std::vector<std::size_t> stages_before;
    std::vector<std::size_t> sources;
    messages emitted;
    std::unique_ptr<flow::function_node<message, flow::continue_msg, flow::lightweight>> noted;
};

/// What feeds a stage.
struct source {
    std::uint16_t index = 0;
    std::size_t to = 0;
    std::uint16_t count = 0;
    std::uint16_t next = 0;
    std::function<void()> start;
    std::thread thread;
    std::vector<std::unique_ptr<flow::graph_node>> nodes;
};

/// What hangs on a stage and refuses now and then.
struct sink {
    std::size_t of = 0;
    messages got;
    std::vector<std::unique_ptr<flow::graph_node>> nodes;
};

} // namespace

class random_graph::parts {
public:
    explicit parts(std::uint64_t seed)
        : random_(seed)
        , one_thread_(chance(4) ? std::make_unique<tbb::global_control>(
                                      tbb::global_control::max_allowed_parallelism, 1)
                                : nullptr)
        , kills_(chance(3)) {
        const std::size_t stages = 1 + below(message::most_stages);
        for (std::size_t i = 0; i < stages; ++i) {
            add_stage();
        }
        for (std::size_t i = 0; i < stages; ++i) {
            connect(i);
        }
    }

    std::string run() {
        std::string wrong;
        if (chance(3)) {
            to_be_cancelled_ = withdraws_ = true;
            begin_round();
            const auto cancel_after = below(150);
            const auto latest = std::chrono::steady_clock::now() + std::chrono::milliseconds(below(20));
            std::thread canceller([&] {
                while (emitted_.load() < cancel_after && !sources_done_.load() &&
                       !(kills_ && std::chrono::steady_clock::now() > latest)) { // some may hang
                    std::this_thread::yield();
                }
                graph_.cancel();
                cancelled_ = true;
            });
            end_round();
            canceller.join();
            graph_.wait_for_all(); // for what was put after it returned because of the cancellation
            wrong += check_order_only();
            to_be_cancelled_ = cancelled_ = false;
            graph_.reset(chance(2) ? flow::rf_reset_bodies : flow::rf_reset_protocol);
        }
        for (std::size_t rounds = 1 + below(2); rounds > 0; --rounds) {
            begin_round();
            end_round();
            wrong += check_all();
        }
        return wrong + broken_bounds_;
    }

private:
    std::size_t below(std::size_t limit) { return random_below(random_, limit); }
    /// One in `of`.
    bool chance(std::size_t of) { return below(of) == 0; }

    // --- building

    template <class Policy>
    void make_node(stage& made, const forkflow::pool_options& options, const stage_body& body) {
        using node_type = forkflow::ordered_process_node<message, message, Policy>;
        auto node = std::make_unique<node_type>(graph_, options, body);
        made.in = node.get();
        made.out = node.get();
        made.put = [this, &n = *node](const message& one) {
            // Nodes of oneTBB that were cancelled may refuse until they are reset.
            while (!(to_be_cancelled_ ? n.put(one, std::chrono::milliseconds(20)) : n.put(one, for_ever))) {
                if (!to_be_cancelled_ || cancelled_) {
                    return false;
                }
            }
            return true;
        };
        made.statistics = [&n = *node] { return n.statistics(); };
        made.node = std::move(node);
    }

    void add_stage() {
        stage made;
        const std::size_t index = stages_.size();
        const forkflow::pool_options options{.workers = 1 + below(2),
                                             .window = 1 + below(6),
                                             .requests = 1 + below(4),
                                             .recycle_after = chance(8) ? 20U : 0U,
                                             .kill_on_cancel = kills_};
        constexpr unsigned slowness[] = {0, 0, 3, 17};
        const stage_body body{static_cast<std::uint8_t>(index), slowness[below(4)]};
        made.rejecting = chance(2);
        if (made.rejecting) {
            make_node<flow::rejecting>(made, options, body);
        } else {
            make_node<flow::queueing>(made, options, body);
        }
        stages_.push_back(std::make_unique<stage>(std::move(made)));
        stage& kept = *stages_.back();
        kept.noted = std::make_unique<flow::function_node<message, flow::continue_msg, flow::lightweight>>(
            graph_, flow::unlimited, [this, &kept](const message& one) noexcept {
                kept.emitted.push_back(one);
                if (emitted_.fetch_add(1) % 8 == 0) {
                    check_bounds();
                }
                return flow::continue_msg();
            });
        flow::make_edge(*kept.out, *kept.noted);
    }

    void connect(std::size_t index) {
        stage& to = *stages_[index];
        for (std::size_t before = 0; before < index; ++before) {
            if (chance(2)) {
                flow::make_edge(*stages_[before]->out, *to.in);
                to.stages_before.push_back(before);
            }
        }
        const std::size_t sources = to.stages_before.empty() ? 1 + below(3) : below(2);
        for (std::size_t i = 0; i < sources; ++i) {
            to.sources.push_back(sources_.size());
            add_source(index);
        }
        for (std::size_t sinks = below(3); sinks > 0; --sinks) {
            add_sink(index);
        }
    }

    message next_of(source& from) const {
        const std::uint16_t number = from.next++;
        return {
            .source = from.index, .number = number, .hangs = to_be_cancelled_ && kills_ && number % 16 == 15};
    }

    template <class Node, class... Arguments>
    Node& add_to(std::vector<std::unique_ptr<flow::graph_node>>& nodes, Arguments&&... arguments) {
        auto made = std::make_unique<Node>(graph_, std::forward<Arguments>(arguments)...);
        Node& node = *made;
        nodes.push_back(std::move(made));
        return node;
    }

    void add_source(std::size_t index) {
        stage& to = *stages_[index];
        auto& from = *sources_.emplace_back(std::make_unique<source>());
        from.index = static_cast<std::uint16_t>(sources_.size() - 1);
        from.to = index;
        switch (below(5)) {
        case 0: // a thread that waits for room
            from.start = [&] { from.thread = std::thread([&] { put_all(from, to.put); }); };
            break;
        case 1: // a thread that does not, if the node takes everything
            from.start = [&] {
                from.thread = std::thread([&] {
                    put_all(
                        from,
                        to.rejecting ? to.put : [&](const message& one) { return to.in->try_put(one); });
                });
            };
            break;
        case 2: { // a buffer
            auto& buffer = add_to<flow::queue_node<message>>(from.nodes);
            flow::make_edge(buffer, *to.in);
            from.start = [&] { put_all(from, [&](const message& one) { return buffer.try_put(one); }); };
            break;
        }
        case 3: { // an input_node
            auto& input = add_to<flow::input_node<message>>(from.nodes, [&](tbb::flow_control& control) {
                if (from.next == from.count) {
                    control.stop();
                    return message();
                }
                return next_of(from);
            });
            flow::make_edge(input, *to.in);
            from.start = [&] { input.activate(); };
            break;
        }
        default: { // bodies that wait for room, inside the graph
            using putter = flow::function_node<message, flow::continue_msg>;
            auto& bodies = add_to<putter>(from.nodes, flow::serial, [&](const message& one) {
                to.put(one);
                return flow::continue_msg();
            });
            from.start = [&] { put_all(from, [&](const message& one) { return bodies.try_put(one); }); };
        }
        }
    }

    template <class Put>
    void put_all(source& from, const Put& put) {
        while (from.next < from.count) {
            if (!put(next_of(from))) {
                refused_.fetch_add(1);
            }
        }
    }

    void add_sink(std::size_t index) {
        stage& of = *stages_[index];
        auto& made = *sinks_.emplace_back(std::make_unique<sink>());
        made.of = index;
        const auto note = [&](const message& one) {
            made.got.push_back(one);
            return flow::continue_msg();
        };
        using rejecting = flow::function_node<message, flow::continue_msg, flow::rejecting>;
        switch (below(3)) {
        case 0: // takes one at a time
            flow::make_edge(*of.out, add_to<rejecting>(made.nodes, flow::serial, note));
            break;
        case 1: { // takes a few at a time
            auto& limiter = add_to<flow::limiter_node<message>>(made.nodes, 1 + below(3));
            using queueing = flow::function_node<message, flow::continue_msg>;
            auto& end = add_to<queueing>(made.nodes, flow::serial, note);
            flow::make_edge(*of.out, limiter);
            flow::make_edge(limiter, end);
            flow::make_edge(end, limiter.decrementer());
            break;
        }
        default: { // takes all, and hands on one at a time
            auto& buffer = add_to<flow::queue_node<message>>(made.nodes);
            flow::make_edge(*of.out, buffer);
            flow::make_edge(buffer, add_to<rejecting>(made.nodes, flow::serial, note));
        }
        }
    }

    // --- running

    void begin_round() {
        for (const auto& one : stages_) {
            one->emitted.clear();
        }
        for (const auto& one : sinks_) {
            one->got.clear();
        }
        emitted_ = refused_ = 0;
        sources_done_ = false;
        graph_.reserve_wait(); // sources may be slower than what follows
        for (const auto& one : sources_) {
            one->next = 0;
            one->count = static_cast<std::uint16_t>(below(60));
            one->start();
        }
        check_bounds();
    }

    void end_round() {
        std::thread closer([this] {
            for (const auto& one : sources_) {
                if (one->thread.joinable()) {
                    one->thread.join();
                }
            }
            sources_done_ = true;
            graph_.release_wait();
        });
        graph_.wait_for_all();
        closer.join();
    }

    // --- checking

    /// The messages of `all` that came to a stage from `before`, without the hop.
    template <class From>
    static messages came_from(const messages& all, From before) {
        messages some;
        for (const message& one : all) {
            const message earlier = one.without_last_hop();
            if (before(earlier)) {
                some.push_back(earlier);
            }
        }
        return some;
    }
    static auto by_stage(std::size_t index) {
        return [index](const message& one) { return one.hops > 0 && one.stages[one.hops - 1U] == index; };
    }
    static auto by_source(std::size_t index) {
        return [index](const message& one) { return one.hops == 0 && one.source == index; };
    }

    std::string check_all() {
        std::string wrong;
        if (refused_ > 0) {
            wrong += std::to_string(refused_) + " messages were refused\n";
        }
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const stage& to = *stages_[i];
            const std::string name = "stage " + std::to_string(i);
            std::size_t expected = 0;
            for (const std::size_t before : to.stages_before) {
                const messages& all = stages_[before]->emitted;
                wrong += difference(name + " after stage " + std::to_string(before), all,
                                    came_from(to.emitted, by_stage(before)));
                expected += all.size();
            }
            for (const std::size_t from : to.sources) {
                messages all;
                for (std::uint16_t n = 0; n < sources_[from]->count; ++n) {
                    all.push_back({.source = static_cast<std::uint16_t>(from), .number = n});
                }
                wrong += difference(name + " after source " + std::to_string(from), all,
                                    came_from(to.emitted, by_source(from)));
                expected += all.size();
            }
            if (to.emitted.size() != expected) {
                wrong += name + ": " + std::to_string(to.emitted.size()) + " messages for " +
                         std::to_string(expected) + "\n";
            }
        }
        for (const auto& one : sinks_) {
            wrong +=
                difference("sink of stage " + std::to_string(one->of), stages_[one->of]->emitted, one->got);
        }
        return wrong;
    }

    /// After a cancellation messages may be missing, but none is there twice, and none has overtaken another.
    std::string check_order_only() {
        std::string wrong;
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            std::vector<std::pair<message, int>> last; // by path
            for (const message& one : stages_[i]->emitted) {
                message path = one;
                path.number = 0;
                auto found = std::find_if(last.begin(), last.end(),
                                          [&](const auto& entry) { return entry.first == path; });
                if (found == last.end()) {
                    found = last.insert(last.end(), {path, -1});
                }
                if (one.number <= found->second) {
                    wrong += "stage " + std::to_string(i) + ": " + text_of(one) + " came after number " +
                             std::to_string(found->second) + "\n";
                }
                found->second = one.number;
            }
        }
        for (const auto& one : sinks_) { // a subsequence of what was emitted
            const messages& all = stages_[one->of]->emitted;
            auto at = all.begin();
            for (const message& got : one->got) {
                at = std::find(at, all.end(), got);
                if (at == all.end()) {
                    wrong += "sink of stage " + std::to_string(one->of) + ": " + text_of(got) +
                             " came twice or too late\n";
                    break;
                }
                ++at;
            }
        }
        return wrong;
    }

    /// While messages flow, of all stages, from any thread. Notes the first few that are broken.
    void check_bounds() {
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const forkflow::statistics now = stages_[i]->statistics();
            // What is withdrawn because of a cancellation counts as finished, also for a while after the
            // reset.
            if (now.in_flight > now.requests + now.window || now.waiting + now.running > now.requests ||
                (now.finished > now.window && !withdraws_) || (stages_[i]->rejecting && now.queued > 0)) {
                const std::scoped_lock lock(broken_);
                if (broken_bounds_.size() < 1000) {
                    broken_bounds_ += "stage " + std::to_string(i) + " of " + std::to_string(now.requests) +
                                      " requests and a window of " + std::to_string(now.window) + " has " +
                                      std::to_string(now.in_flight) + " in flight, " +
                                      std::to_string(now.waiting) + " waiting, " +
                                      std::to_string(now.running) + " running, " +
                                      std::to_string(now.finished) + " finished, " +
                                      std::to_string(now.queued) + " queued\n";
                }
            }
        }
    }

    random_source random_;
    std::unique_ptr<tbb::global_control> one_thread_;
    const bool kills_; ///< what runs when the graph is cancelled
    flow::graph graph_;
    std::vector<std::unique_ptr<stage>> stages_;
    std::vector<std::unique_ptr<source>> sources_;
    std::vector<std::unique_ptr<sink>> sinks_;
    std::atomic<std::size_t> emitted_{0};
    std::atomic<std::size_t> refused_{0};
    std::atomic<bool> sources_done_{false};
    std::atomic<bool> to_be_cancelled_{false}; ///< this round will be
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> withdraws_{false}; ///< this round or one before it is cancelled
    std::mutex broken_;
    std::string broken_bounds_; ///< guarded by broken_ while messages flow
};

random_graph::random_graph(std::uint64_t seed)
    : parts_(std::make_unique<parts>(seed)) {}

random_graph::~random_graph() = default;

std::string random_graph::run() {
    return parts_->run();
}

} // namespace forkflow_test
