// SPDX-License-Identifier: MIT
#include <forkflow/nodes/above_standard.hpp>
#include <forkflow/nodes/output_tail.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace forkflow::nodes {

output_tail::output_tail(std::size_t most_bytes)
    : most_bytes_(most_bytes) {
    int ends[2] = {-1, -1};
    checked("pipe2", ::pipe2(ends, O_CLOEXEC));
    descriptor reading(ends[0]);
    descriptor writing(ends[1]);
    reading_ = above_standard(std::move(reading)); // the worker closes both once one is its standard error
    writing_ = above_standard(std::move(writing));
    checked("fcntl", ::fcntl(reading_.get(), F_SETFL, O_NONBLOCK)); // the worker's end may block
}

void output_tail::become_standard_error() {
    checked("dup2", ::dup2(writing_.get(), STDERR_FILENO));
    writing_.reset();
    reading_.reset();
}

bool output_tail::drain() {
    std::array<char, 4096> piece{};
    constexpr int most_pieces = 256; // what a worker left behind may go on writing for ever
    for (int i = 0; i < most_pieces; ++i) {
        const ssize_t got = uninterrupted([&] { return ::read(reading_.get(), piece.data(), piece.size()); });
        if (got <= 0) {
            return got < 0; // EAGAIN: not the end
        }
        kept_.append(piece.data(), static_cast<std::size_t>(got));
        if (kept_.size() > 2 * most_bytes_) {
            kept_.erase(0, kept_.size() - most_bytes_);
        }
    }
    return true;
}

std::string output_tail::take() {
    if (kept_.size() > most_bytes_) {
        kept_.erase(0, kept_.size() - most_bytes_);
    }
    return std::move(kept_);
}

} // namespace forkflow::nodes
