// SPDX-License-Identifier: MIT
// The flow graph: walk -> index (worker processes, in order) -> write.
#pragma once

#include "options.hpp"
#include "reporter.hpp"

#include <atomic>
#include <optional>

namespace index_documents {

/// How a run ended.
struct run_result {
    run_totals totals;
    bool interrupted = false;
    std::optional<batch_counts>
        rolled_back; ///< of the batch that was incomplete when the run was interrupted
};

/// Indexes the folder into the database that the options name. Must be called before the program has further
/// threads, because it starts the worker processes. \param stop  once it is true, no further document is
/// begun; what is in flight is still written \throws usage_error, sqlite::error; std::system_error if no
/// processes can be started
run_result index_folder(const options& chosen, reporter& reports, const std::atomic<bool>& stop);

} // namespace index_documents
