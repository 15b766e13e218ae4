// SPDX-License-Identifier: MIT
// The last stage of the pipeline: outcomes go into the index, the totals and the reports.
#pragma once

#include "document.hpp"
#include "index_database.hpp"
#include "reporter.hpp"

namespace index_documents {

/// Writes outcomes in the order in which they come. Not thread-safe: it belongs into a serial node.
class batch_writer {
public:
    batch_writer(index_database& index, reporter& reports)
        : index_(index)
        , reports_(reports) {}

    void write(const indexed_document& document);
    void write(const failed_document& failure);

    /// Commits and reports the batch. One that has not the number of documents that its marker says is rolled
    /// back, reported and counted as an error.
    void write(const batch_done& batch);

    const run_totals& totals() const { return totals_; }

private:
    index_database& index_;
    reporter& reports_;
    run_totals totals_;
};

} // namespace index_documents
