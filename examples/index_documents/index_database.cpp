// SPDX-License-Identifier: MIT
// Implements the index: its schema, and one transaction per batch.
#include "index_database.hpp"

#include "options.hpp"

#include <sqlite3.h>
#include <string>
#include <utility>

namespace index_documents {

namespace {

constexpr std::int64_t application_id = 0x666B6978; // "fkix": tells an index from other people's databases

[[noreturn]] void throw_not_an_index(const std::filesystem::path& file) {
    throw usage_error("'" + file.native() +
                      "' is there, but is no index of this program; it was not touched");
}

// Only a file that is empty or that this program has made may be written to.
void require_own(sqlite::connection& database, const std::filesystem::path& file, bool may_be_empty) {
    try {
        if (database.value("PRAGMA application_id") == application_id)
            return;
        if (may_be_empty && database.value("SELECT count(*) FROM sqlite_master") == 0)
            return;
    } catch (const sqlite::error& not_readable) {
        if (not_readable.code != SQLITE_NOTADB)
            throw;
    }
    throw_not_an_index(file);
}

// Exclusive locking: a second run on the same file gets an error instead of mixing its batches with ours.
// With a write-ahead log a commit costs no wait for the disk, and a crash still leaves whole transactions.
constexpr const char* settings = "PRAGMA locking_mode = EXCLUSIVE;"
                                 "PRAGMA journal_mode = WAL;"
                                 "PRAGMA synchronous = NORMAL;"
                                 "PRAGMA secure_delete = OFF;"
                                 "PRAGMA cache_size = -65536;"
                                 "PRAGMA wal_autocheckpoint = 8192;";

constexpr const char* schema = "DROP TABLE IF EXISTS batches;"
                               "DROP TABLE IF EXISTS failures;"
                               "DROP TABLE IF EXISTS documents;"
                               "DROP TABLE IF EXISTS contents;"
                               "CREATE TABLE batches(directory TEXT, documents INTEGER, failures INTEGER);"
                               "CREATE TABLE failures(path TEXT, kind TEXT, what TEXT);"
                               "CREATE TABLE documents(id INTEGER PRIMARY KEY, path TEXT, file_bytes INTEGER,"
                               " terms INTEGER, distinct_terms INTEGER, keywords TEXT);"
                               "CREATE VIRTUAL TABLE contents USING"
                               " fts5(title, body, tokenize = 'unicode61 remove_diacritics 2');"
                               "INSERT INTO contents(contents, rank) VALUES('rank', 'bm25(5.0, 1.0)');";

std::string joined(const std::vector<std::pair<std::string, std::uint64_t>>& keywords) {
    std::string line;
    for (const auto& [term, count] : keywords)
        line += (line.empty() ? "" : ", ") + term + " " + std::to_string(count);
    return line;
}

} // namespace

index_database::statements::statements(sqlite::connection& database)
    : insert_document(database, "INSERT INTO documents(path, file_bytes, terms, distinct_terms, keywords)"
                                " VALUES(?1, ?2, ?3, ?4, ?5)")
    , insert_contents(database, "INSERT INTO contents(rowid, title, body) VALUES(?1, ?2, ?3)")
    , insert_failure(database, "INSERT INTO failures VALUES(?1, ?2, ?3)")
    , insert_batch(database, "INSERT INTO batches VALUES(?1, ?2, ?3)") {}

index_database::index_database(const std::filesystem::path& file)
    : database_(file, sqlite::access::read_write_create) {
    require_own(database_, file, true);
    database_.execute(settings);
    database_.execute("BEGIN IMMEDIATE; PRAGMA application_id = " + std::to_string(application_id) + ";" +
                      schema + "COMMIT;");
    statements_.emplace(database_);
}

index_database::~index_database() {
    try {
        roll_back();
        statements_.reset();
        database_.execute("PRAGMA journal_mode = DELETE;"); // leaves one file, readable from anywhere
    } catch (const sqlite::error&) {
        // The log stays beside the database, and the next program that opens it reads both.
    }
}

void index_database::begin_if_needed() {
    if (!database_.in_transaction())
        database_.execute("BEGIN");
}

void index_database::add(const indexed_document& document) {
    begin_if_needed();
    const std::string keywords = joined(document.keywords);
    statements_->insert_document.bind(1, document.path)
        .bind(2, document.file_bytes)
        .bind(3, document.terms)
        .bind(4, document.distinct_terms)
        .bind(5, keywords)
        .run();
    statements_->insert_contents.bind(1, database_.last_row())
        .bind(2, document.title)
        .bind(3, document.text)
        .run();
    ++open_batch_.indexed;
}

void index_database::add(const failed_document& failure) {
    begin_if_needed();
    statements_->insert_failure.bind(1, failure.path).bind(2, failure.kind).bind(3, failure.what).run();
    ++open_batch_.failed;
}

batch_counts index_database::finish_batch(const batch_done& batch) {
    const batch_counts counts = open_batch_;
    if (counts.indexed + counts.failed != batch.documents) {
        roll_back();
        throw batch_mismatch(
            "batch " + batch.directory + " was rolled back: " + std::to_string(batch.documents) +
            " documents were sent, " + std::to_string(counts.indexed + counts.failed) + " arrived");
    }
    begin_if_needed();
    statements_->insert_batch.bind(1, batch.directory)
        .bind(2, std::uint64_t{batch.documents})
        .bind(3, counts.failed)
        .run();
    database_.execute("COMMIT");
    open_batch_ = {};
    return counts;
}

std::optional<batch_counts> index_database::roll_back() {
    if (!database_.in_transaction())
        return std::nullopt;
    database_.execute("ROLLBACK");
    return std::exchange(open_batch_, {});
}

sqlite::connection open_index(const std::filesystem::path& file) {
    sqlite::connection database(file, sqlite::access::read_only);
    require_own(database, file, false);
    return database;
}

index_totals totals(sqlite::connection& index) {
    const auto count = [&](const char* query) { return static_cast<std::uint64_t>(index.value(query)); };
    index_totals all;
    all.batches = count("SELECT count(*) FROM batches");
    all.documents.failed = count("SELECT sum(failures) FROM batches");
    all.documents.indexed = count("SELECT sum(documents) FROM batches") - all.documents.failed;
    all.whole = all.documents.indexed == count("SELECT count(*) FROM documents") &&
                all.documents.indexed == count("SELECT count(*) FROM contents") &&
                all.documents.failed == count("SELECT count(*) FROM failures");
    return all;
}

} // namespace index_documents
