// SPDX-License-Identifier: MIT
// Builds and runs the flow graph; this is where forkflow is used.
#include "pipeline.hpp"

#include "analyse_document.hpp"
#include "batch_writer.hpp"
#include "codecs.hpp"
#include "walker.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <chrono>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tbb/flow_graph.h>
#include <utility>
#include <variant>

namespace index_documents {

namespace {

namespace flow = tbb::flow;

using outcome = std::variant<indexed_document, batch_done, forkflow::failure>;

// The paths of the documents that are under way. Outcomes come in the order in which documents were sent, so
// the oldest path belongs to the next outcome of a document: that is how a failure, which may have killed its
// worker before it could say anything, gets its name. Thread-safe: the walk pushes while the writer pops.
class paths_under_way {
public:
    void push(std::string path) {
        const std::lock_guard lock(mutex_);
        paths_.push_back(std::move(path));
    }

    std::string pop() {
        const std::lock_guard lock(mutex_);
        if (paths_.empty())
            throw std::logic_error("an outcome without a document");
        std::string path = std::move(paths_.front());
        paths_.pop_front();
        return path;
    }

private:
    std::mutex mutex_;
    std::deque<std::string> paths_;
};

forkflow::pool_options make_pool_options(const options& chosen) {
    return {.workers = chosen.workers.value_or(0),
            .window = chosen.window.value_or(0),
            .max_message_bytes = max_indexed_document_bytes,
            .deadline = std::chrono::minutes(1)};
}

// "damaged_file" for a thrown index_documents::damaged_file, else what happened: "crashed", "timed_out".
std::string failure_name(const forkflow::failure& failure) {
    if (failure.kind != forkflow::failure_kind::threw || failure.exception_type.empty())
        return forkflow::to_string(failure.kind);
    return failure.exception_type.substr(failure.exception_type.rfind(':') + 1);
}

// The body of the last node: gives each kind of outcome to the writer.
class outcome_writer {
public:
    outcome_writer(batch_writer& writer, paths_under_way& paths)
        : writer_(writer)
        , paths_(paths) {}

    void operator()(const indexed_document& document) const {
        if (paths_.pop() != document.path)
            throw std::logic_error("the outcome of " + document.path + " is not in its place");
        writer_.write(document);
    }

    void operator()(const forkflow::failure& failure) const {
        if (failure.kind == forkflow::failure_kind::pool_failed)
            throw std::runtime_error(failure.what); // no fault of the document: the others would fail as well
        writer_.write(failed_document{paths_.pop(), failure_name(failure), failure.what});
    }

    void operator()(const batch_done& batch) const { writer_.write(batch); }

private:
    batch_writer& writer_;
    paths_under_way& paths_;
};

} // namespace

run_result index_folder(const options& chosen, reporter& reports, const std::atomic<bool>& stop) {
    run_result result;
    paths_under_way paths;
    flow::graph graph;

    // First the node, which forks, then the database: SQLite's connections must not be carried over a fork.
    forkflow::ordered_process_node<item, outcome, flow::rejecting> index(
        graph, make_pool_options(chosen), [](const document& sent) { return analyse_document(sent); });
    index_database database(chosen.database);
    batch_writer writer(database, reports);

    walker folder(chosen.folder, chosen.database);
    flow::input_node<item> walk(graph, [&](tbb::flow_control& control) -> item {
        result.interrupted = stop.load();
        std::optional<item> next = result.interrupted ? std::nullopt : folder.next();
        if (!next) {
            control.stop();
            return {};
        }
        if (const auto* sent = std::get_if<document>(&*next))
            paths.push(sent->path);
        return *std::move(next);
    });

    // Both edges refuse what does not fit, so that a writer that is slower than the workers bounds
    // everything: its outcomes wait in the window, the window stops the walk, and no memory grows.
    flow::function_node<outcome, flow::continue_msg, flow::rejecting> write(
        graph, flow::serial, [&](const outcome& done) {
            std::visit(outcome_writer(writer, paths), done);
            if (reports.wants_progress()) {
                const auto now = index.statistics();
                reports.progress(writer.totals(), {now.finished, now.window});
            }
            return flow::continue_msg();
        });

    flow::make_edge(walk, index);
    flow::make_edge(index, write);
    walk.activate();
    graph.wait_for_all();

    result.totals = writer.totals();
    result.rolled_back = database.roll_back();
    return result;
}

} // namespace index_documents
