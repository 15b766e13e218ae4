// SPDX-License-Identifier: MIT
// Applications that have closed their standard input, output and error: the numbers are anybody's then.
#include "support/body_line.hpp"
#include "support/catch.hpp"

#include <forkflow/fork_server.hpp>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <variant>

#include <fcntl.h>
#include <unistd.h>

namespace closed_standard_test {

using forkflow::failure;
using forkflow::pool_options;
using forkflow_test::bounded_test;
using forkflow_test::number;

namespace {

/// While it lives, this process has no standard input, output and error.
class standard_closed {
public:
    standard_closed() {
        for (int number = 0; number < 3; ++number) {
            copies_[static_cast<std::size_t>(number)] = ::fcntl(number, F_DUPFD_CLOEXEC, 10);
            ::close(number);
        }
    }
    ~standard_closed() {
        for (int number = 0; number < 3; ++number) {
            const int copy = copies_[static_cast<std::size_t>(number)];
            ::dup2(copy, number);
            ::close(copy);
        }
    }
    standard_closed(const standard_closed&) = delete;
    standard_closed& operator=(const standard_closed&) = delete;

private:
    std::array<int, 3> copies_{};
};

/// What a pool keeps of what a worker says before it dies.
std::string last_words(bool by_fork_server) {
    const standard_closed closed;
    std::optional<forkflow::fork_server> server;
    if (by_fork_server) {
        server.emplace();
    }
    forkflow_test::body_line line(
        pool_options{
            .workers = 2, .attempts = 1, .stderr_tail_bytes = 100, .server = server ? &*server : nullptr},
        [](number message) {
            if (message == 3) {
                (void)!::write(STDERR_FILENO, "farewell", 8);
                ::raise(SIGKILL);
            }
            return message;
        });
    line.put(0, 6);
    line.finish();
    return std::get<failure>(line.outcomes().at(3)).stderr_tail;
}

} // namespace

TEST_CASE("What a worker writes before it dies is kept, though the application has no standard error") {
    const bounded_test bounds;
    CHECK(last_words(false) == "farewell");
    CHECK(last_words(true) == "farewell");
}

} // namespace closed_standard_test
