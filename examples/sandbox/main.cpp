// SPDX-License-Identifier: MIT
// Runs commands that it does not trust, one a line, from standard input:
//
//     reverse TEXT     count TEXT     read FILE     connect PORT
//
// Workers may compute and do nothing else. Who opens a file or a socket is ended by the kernel; its command
// fails in its place, and the others do not notice.
#include "system_call_filter.hpp"

#include <forkflow/ordered_process_node.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <variant>

#include <arpa/inet.h>
#include <sys/socket.h>

namespace {

using outcome = std::variant<std::string, forkflow::failure>;

std::string contents_of(const std::string& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::string connected_to(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    sockaddr general{};
    std::memcpy(&general, &address, sizeof general);
    return ::connect(socket, &general, sizeof general) == 0 ? "connected" : "not connected";
}

std::string run(const std::string& line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string command = line.substr(0, space);
    const std::string argument = line.substr(std::min(space + 1, line.size()));
    if (command == "reverse") {
        return {argument.rbegin(), argument.rend()};
    }
    if (command == "count") {
        return std::to_string(argument.size());
    }
    if (command == "read") {
        return contents_of(argument);
    }
    if (command == "connect") {
        return connected_to(std::stoi(argument));
    }
    throw std::invalid_argument("no command: " + command);
}

void print(const outcome& found) {
    if (const auto* const failed = std::get_if<forkflow::failure>(&found)) {
        std::cout << (failed->signal == SIGSYS ? "forbidden" : "failed") << ": " << failed->what << '\n';
    } else {
        std::cout << std::get<std::string>(found) << '\n';
    }
}

} // namespace

int main() {
    tbb::flow::graph graph;
    forkflow::ordered_process_node<std::string, outcome> runner(
        graph,
        forkflow::pool_options{.workers = 2,
                               .deadline = std::chrono::seconds(10),
                               .attempts = 1,
                               .recycle_after = 100,
                               .recycle_growth_bytes = std::size_t{64} << 20U,
                               .sandbox = allow_computing_only,
                               .limits = {.memory_bytes = std::size_t{256} << 20U, .open_files = 16}},
        run);
    tbb::flow::function_node<outcome> printer(graph, tbb::flow::serial, print);
    tbb::flow::make_edge(runner, printer);
    for (std::string line; std::getline(std::cin, line);) {
        runner.try_put(line);
    }
    graph.wait_for_all();
    std::cerr << runner.statistics().deaths << " workers died, " << runner.statistics().recycled
              << " were recycled\n";
}
