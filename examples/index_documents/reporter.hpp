// SPDX-License-Identifier: MIT
// Everything that the program says while it works and at its end.
#pragma once

#include "document.hpp"
#include "index_database.hpp"
#include "search.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace index_documents {

/// What a run has done so far.
struct run_totals {
    std::uint64_t batches = 0;
    std::uint64_t indexed = 0;
    std::uint64_t failed = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t text_bytes = 0;
    std::uint64_t terms = 0;
    std::map<std::string, std::uint64_t> failures_by_kind;
    std::uint64_t errors = 0; ///< batches that were wrong; the program must not claim success then

    std::uint64_t documents() const { return indexed + failed; }
};

/// How full the window is: results that wait for their turn, and how many may.
struct window_occupancy {
    std::size_t used = 0;
    std::size_t window = 0;
};

/// Writes batches, the summary and hits to standard output; failures, errors and the progress line to
/// standard error. Paths and texts come from outside: control characters in them are replaced. Not
/// thread-safe.
class reporter {
public:
    /// \param progress  show progress even if standard error is no terminal
    explicit reporter(bool progress);

    void committed(const batch_done& batch, const batch_counts& counts);
    void failed(const failed_document& failure);
    void error(std::string_view what);

    /// True if it is time for the next progress line: at most five times per second.
    bool wants_progress() const;
    void progress(const run_totals& totals, window_occupancy occupancy);

    void summary(const run_totals& totals, std::string_view database);
    void interrupted(const run_totals& totals, const std::optional<batch_counts>& rolled_back,
                     std::string_view database);
    void index(const index_totals& totals, std::string_view database);
    void hits(std::string_view words, const std::vector<hit>& found);

    /// False if something could not be written to standard output: the disk behind it is full, for example.
    bool all_written() const;

private:
    using clock = std::chrono::steady_clock;

    double seconds() const;
    void clear_progress();

    bool terminal_;
    bool show_progress_;
    bool line_shown_ = false;
    clock::time_point start_ = clock::now();
    clock::time_point next_progress_ = start_;
};

/// Text that cannot move a terminal's cursor: one line, control characters replaced by '?'.
std::string printable(std::string_view text);

} // namespace index_documents
