// SPDX-License-Identifier: MIT
// A graph with one node through which numbers go. Compiled once, for tests that care for processes and not
// for types.
#pragma once

#include <forkflow/failure.hpp>
#include <forkflow/pool_options.hpp>
#include <forkflow/statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace forkflow_test {

using number = std::uint32_t;
using outcome = std::variant<number, forkflow::failure>;

using allowed_failures = std::function<bool(number, const forkflow::failure&)>;

/// What is wrong if `all` are the outcomes of 0 … `count` - 1: the first that is neither what `right` says
/// nor a failure that `allowed` allows. Empty: nothing.
std::string fault_among(const std::vector<outcome>& all, number count,
                        const std::function<number(number)>& right, const allowed_failures& allowed = {});

/// A graph, a node in it, and a recorder behind the node. The node is destroyed first, whatever is inside.
class number_line {
public:
    using body = std::function<number(number)>;

    number_line(const forkflow::pool_options& options, const body& work);
    ~number_line();
    number_line(const number_line&) = delete;
    number_line& operator=(const number_line&) = delete;

    /// Puts the numbers from `first` to before `last`.
    void put(number first, number last);
    /// Waits until the graph is idle.
    void finish();
    /// Waits until so many outcomes have come.
    void wait_for(std::size_t count) const;
    [[nodiscard]] std::vector<outcome> outcomes() const;
    [[nodiscard]] forkflow::statistics statistics() const;

    /// What is wrong if a body gives back its number and 0 … `count` - 1 were put: the first outcome that is
    /// neither its number nor a failure that `allowed` allows. Empty: nothing.
    [[nodiscard]] std::string fault(number count, const allowed_failures& allowed = {}) const;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

/// The simplest body.
inline number itself(number message) {
    return message;
}

/// For number_line::fault: the pool failed.
inline bool pool_failed(number /*message*/, const forkflow::failure& found) {
    return found.kind == forkflow::failure_kind::pool_failed;
}

} // namespace forkflow_test
