// SPDX-License-Identifier: MIT
// The full-text index: an SQLite database that is written in whole batches.
#pragma once

#include "document.hpp"
#include "sqlite.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>

namespace index_documents {

/// A batch that does not have as many documents as its marker says. It was rolled back.
struct batch_mismatch : std::runtime_error {
    using runtime_error::runtime_error;
};

/// What became of the documents of one batch, or of all batches.
struct batch_counts {
    std::uint64_t indexed = 0;
    std::uint64_t failed = 0;
};

/// A new index. Tables: `documents` and `contents` (FTS5, joined by rowid), `failures`, `batches`.
///
/// The first `add` of a batch begins a transaction and `finish_batch` commits it, so that whatever happens to
/// the process, the file holds whole batches. While an index_database lives, no other program can use the
/// file. Not thread-safe; must not be used in a forked process. Errors: sqlite::error.
class index_database {
public:
    /// Creates the file, or empties an index that is there, in one transaction.
    /// \throws usage_error if there is a file that is no index of this program; it is not touched
    explicit index_database(const std::filesystem::path& file);

    /// Rolls back a batch that is not complete.
    ~index_database();

    index_database(const index_database&) = delete;
    index_database& operator=(const index_database&) = delete;

    void add(const indexed_document& document);
    void add(const failed_document& failure);

    /// Commits what was added since the batch before.
    /// \throws batch_mismatch if the number of documents, failed ones included, is not the marker's
    batch_counts finish_batch(const batch_done& batch);

    /// Forgets what was added since the batch before. \returns what it was; nothing if there was nothing
    std::optional<batch_counts> roll_back();

    sqlite::connection& connection() { return database_; }

private:
    struct statements {
        explicit statements(sqlite::connection& database);
        sqlite::statement insert_document;
        sqlite::statement insert_contents;
        sqlite::statement insert_failure;
        sqlite::statement insert_batch;
    };

    void begin_if_needed();

    sqlite::connection database_;
    std::optional<statements> statements_; // made when there are tables
    batch_counts open_batch_;
};

/// Opens an index for searching.
/// \throws usage_error if the file is no index of this program
sqlite::connection open_index(const std::filesystem::path& file);

/// What all batches of an index contain together, by the batches' own records.
struct index_totals {
    std::uint64_t batches = 0;
    batch_counts documents;
    bool whole = true; ///< whether the documents and failures that are there are just those of the batches
};

index_totals totals(sqlite::connection& index);

} // namespace index_documents
