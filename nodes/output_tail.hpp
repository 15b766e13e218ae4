// SPDX-License-Identifier: MIT
// The last that a worker wrote to its standard error.
#pragma once

#include <forkflow/nodes/descriptor.hpp>

#include <cstddef>
#include <string>

namespace forkflow::nodes {

/// The reading end of a pipe whose writing end is a worker's standard error. Used by the fork server: it
/// reads whenever there is something, so that no worker waits for it, and keeps the end.
class output_tail {
public:
    /// Keeps `most_bytes`. Throws std::system_error.
    explicit output_tail(std::size_t most_bytes);

    /// Readable when there is something to drain.
    [[nodiscard]] int get() const noexcept { return reading_.get(); }
    /// In the worker: makes the pipe its standard error.
    void become_standard_error();
    /// In the fork server, after the fork.
    void close_writing_end() noexcept { writing_.reset(); }
    /// Reads what is there; never blocks. False: nobody holds the writing end any more.
    bool drain();
    /// To be called once nobody holds the writing end: there is nothing more to poll for.
    void close() noexcept { reading_.reset(); }
    /// The last bytes.
    [[nodiscard]] std::string take();

private:
    descriptor reading_;
    descriptor writing_;
    std::size_t most_bytes_;
    std::string kept_; ///< at most twice as many, so that it is seldom cut
};

} // namespace forkflow::nodes
