// SPDX-License-Identifier: MIT
// SQLite with owners: a connection and a statement that close themselves and report errors as exceptions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace index_documents::sqlite {

/// An SQLite call that failed; `what()` says what was tried and SQLite's reason.
struct error : std::runtime_error {
    error(const std::string& what, int primary_code)
        : runtime_error(what)
        , code(primary_code) {}
    int code; ///< SQLite's primary result code
};

enum class access { read_only, read_write_create };

/// An open database. Not thread-safe, and must not be used in a forked process.
class connection {
public:
    connection(const std::filesystem::path& file, access mode);

    /// Runs statements that return nothing of interest.
    void execute(const std::string& statements);

    /// The first value of the first row; 0 if there is none.
    std::int64_t value(const std::string& query);

    /// The rowid of the last row that was inserted.
    std::int64_t last_row() const;

    /// True between BEGIN and COMMIT or ROLLBACK.
    bool in_transaction() const;

    sqlite3* handle() const { return database_.get(); }

private:
    struct closer {
        void operator()(sqlite3* database) const;
    };
    std::unique_ptr<sqlite3, closer> database_;
};

/// A prepared statement, to be run many times: bind, then step; `reset` before the next time. Text and views
/// must live until the statement is reset. Must not outlive its connection.
class statement {
public:
    statement(connection& database, std::string_view text);

    statement& bind(int index, std::string_view value);
    statement& bind(int index, std::int64_t value);
    statement& bind(int index, std::uint64_t value);

    /// Goes to the next row; false behind the last.
    bool step();

    /// Runs a statement without rows, and resets it.
    void run();

    void reset();
    std::string text(int column) const;
    std::int64_t integer(int column) const;
    double real(int column) const;

private:
    struct finalizer {
        void operator()(sqlite3_stmt* prepared) const;
    };
    std::unique_ptr<sqlite3_stmt, finalizer> statement_;
};

} // namespace index_documents::sqlite
