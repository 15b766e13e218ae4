// SPDX-License-Identifier: MIT
// Must not compile: each line with a comment "refused: ..." gives one error, which says that. See
// support/refused_lines_test.sh.
#include <forkflow/ordered_process_node.hpp>

#include <memory>
#include <string>
#include <variant>

namespace flow = tbb::flow;
using forkflow::ordered_process_node;
using forkflow::pool_options;

namespace {

struct without_codec {
    std::string text;
};
struct marker {};
using item = std::variant<int, marker>;

int same(int message);
long length_of(const std::string& text);

// clang-format off
[[maybe_unused]] void refused(flow::graph& g, std::unique_ptr<int> owned) {
    // Messages that cannot be sent.
    const ordered_process_node<const char*, int> pointer(g, 1, [](const char*) { return 1; }); // refused: a raw pointer means nothing in another process
    const ordered_process_node result(g, 1, [](int) { return without_codec(); }); // refused: this type, or a part of it, has no codec
    // Bodies with another signature.
    const ordered_process_node<int, int> of_text(g, 1, length_of); // refused: the body cannot be called with a const Input&
    const ordered_process_node<int, int> with_options(g, pool_options(), length_of, flow::node_priority_t(1)); // refused: the body cannot be called with a const Input&
    const ordered_process_node<int, int, flow::rejecting> two(g, 1, [](int, int) { return 1; }); // refused: the body cannot be called with a const Input&
    const ordered_process_node<item, item> of_none(g, 1, length_of, flow::queueing()); // refused: the body cannot be called with a const Input&
    // Results without a place.
    const ordered_process_node<int, std::string> to_text(g, 1, same); // refused: no Output can be made from what the body returns
    const ordered_process_node<int, int> to_nothing(g, 1, [](int) {}); // refused: no Output can be made from what the body returns
    const ordered_process_node<item, int> no_marker(g, 1, same); // refused: or from an alternative of Input that it does not take
    const ordered_process_node<int, int> moved(g, 1, [own = std::move(owned)](int) { return *own; }); // refused: a body must be copyable
    // Policies.
    const ordered_process_node<int, int, flow::reserving> policy(g, 1, same); // refused: the policy of an ordered_process_node is
}
// clang-format on

} // namespace
