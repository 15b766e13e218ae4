// SPDX-License-Identifier: MIT
#include "pipeline.hpp"

#include "picture.hpp"
#include "shrink.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <oneapi/tbb/flow_graph.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <system_error>
#include <variant>

namespace images {
namespace {

namespace flow = tbb::flow;

using file_bytes = std::vector<std::byte>;
using outcome = std::variant<file_bytes, forkflow::failure>;

constexpr std::size_t most_file_bytes = std::size_t{256} << 20U; // address space, not memory

/// An empty file, which is no picture, if it cannot be read.
file_bytes contents_of(const std::filesystem::path& path) {
    std::error_code failed;
    const std::uintmax_t size_bytes = std::filesystem::file_size(path, failed);
    std::ifstream file(path, std::ios::binary);
    file_bytes bytes;
    if (!failed && file) {
        bytes.resize(size_bytes);
        file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        bytes.resize(static_cast<std::size_t>(file.gcount()));
    }
    return bytes;
}

void write(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path.native());
    }
}

/// The body. `file` lies in the request, and what `out` gives in the result: nothing is copied here.
class shrinker {
public:
    explicit shrinker(std::size_t width)
        : width_(width) {}

    void operator()(std::span<const std::byte> file, forkflow::result_writer<file_bytes>& out) const {
        const picture given(file);
        const pixels& from = given.pixels();
        const size target = size_within(from, width_);
        const std::string head = pnm_head(target.width, target.height, from.channels);
        const std::span<std::byte> made =
            out.resize(head.size() + target.width * target.height * from.channels);
        std::memcpy(made.data(), head.data(), head.size());
        const std::span<std::byte> samples = made.subspan(head.size());
        shrink(from, target, samples);
        spread_tones(samples, histogram_of(samples, from.channels));
    }

private:
    std::size_t width_;
};

std::string text_of(const forkflow::failure& failed) {
    return failed.what.empty() ? std::string(to_string(failed.kind)) : failed.what;
}

} // namespace

totals shrink_all(const std::vector<task>& tasks, const settings& chosen,
                  const std::function<void(const task&, const std::string& why)>& tell) {
    totals done;
    flow::graph graph;
    forkflow::pool_options options{
        .workers = chosen.workers, .max_message_bytes = most_file_bytes, .deadline = std::chrono::minutes(1)};
    options.window = 2 * std::max<std::size_t>(chosen.workers, 2); // pictures are large
    forkflow::ordered_process_node<file_bytes, outcome, flow::rejecting> shrinking(graph, options,
                                                                                   shrinker(chosen.width));
    auto next = tasks.begin();
    flow::input_node<file_bytes> read(graph, [&](tbb::flow_control& control) -> file_bytes {
        if (next == tasks.end()) {
            control.stop();
            return {};
        }
        file_bytes file = contents_of((next++)->from);
        done.request_bytes += file.size();
        return file;
    });
    // Outcomes have the order of the tasks. Rejecting: a slow disk bounds everything that comes before it.
    auto answered = tasks.begin();
    flow::function_node<outcome, flow::continue_msg, flow::rejecting> finish(
        graph, flow::serial, [&](const outcome& one) {
            const task& its = *answered++;
            if (const auto* made = std::get_if<file_bytes>(&one)) {
                write(its.to, *made);
                done.result_bytes += made->size();
                ++done.written;
                return;
            }
            const auto& failed = std::get<forkflow::failure>(one);
            if (failed.kind == forkflow::failure_kind::pool_failed) {
                throw std::runtime_error(failed.what);
            }
            tell(its, text_of(failed));
            ++done.failed;
        });
    flow::make_edge(read, shrinking);
    flow::make_edge(shrinking, finish);

    const auto start = std::chrono::steady_clock::now();
    read.activate();
    graph.wait_for_all();
    done.time = std::chrono::steady_clock::now() - start;
    return done;
}

} // namespace images
