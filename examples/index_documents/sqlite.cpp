// SPDX-License-Identifier: MIT
// Implements the owners on SQLite's C interface.
#include "sqlite.hpp"

#include <sqlite3.h>

namespace index_documents::sqlite {

namespace {

constexpr int busy_timeout_milliseconds = 5000;

[[noreturn]] void throw_error(sqlite3* database, std::string_view what) {
    const int code = database ? sqlite3_errcode(database) : SQLITE_NOMEM;
    const char* reason = database ? sqlite3_errmsg(database) : "out of memory";
    throw error(std::string(what) + ": " + reason, code & 0xFF);
}

void check(sqlite3_stmt* prepared, int code, std::string_view what) {
    if (code != SQLITE_OK)
        throw_error(sqlite3_db_handle(prepared), what);
}

} // namespace

void connection::closer::operator()(sqlite3* database) const {
    sqlite3_close(database);
}

connection::connection(const std::filesystem::path& file, access mode) {
    sqlite3* opened = nullptr;
    const int flags =
        mode == access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const int code = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
    database_.reset(opened); // there is something to close even after an error
    if (code != SQLITE_OK)
        throw_error(opened, "cannot open the database " + file.native());
    sqlite3_busy_timeout(opened, busy_timeout_milliseconds);
}

void connection::execute(const std::string& statements) {
    if (sqlite3_exec(handle(), statements.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        throw_error(handle(), "database");
}

std::int64_t connection::value(const std::string& query) {
    statement asked(*this, query);
    return asked.step() ? asked.integer(0) : 0;
}

std::int64_t connection::last_row() const {
    return sqlite3_last_insert_rowid(handle());
}

bool connection::in_transaction() const {
    return sqlite3_get_autocommit(handle()) == 0;
}

void statement::finalizer::operator()(sqlite3_stmt* prepared) const {
    sqlite3_finalize(prepared);
}

statement::statement(connection& database, std::string_view text) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database.handle(), text.data(), static_cast<int>(text.size()), &prepared,
                           nullptr) != SQLITE_OK)
        throw_error(database.handle(), "database");
    statement_.reset(prepared);
}

statement& statement::bind(int index, std::string_view value) {
    const char* text = value.data() ? value.data() : ""; // a null pointer would bind NULL
    check(statement_.get(),
          sqlite3_bind_text64(statement_.get(), index, text, value.size(), SQLITE_STATIC, SQLITE_UTF8),
          "bind");
    return *this;
}

statement& statement::bind(int index, std::int64_t value) {
    check(statement_.get(), sqlite3_bind_int64(statement_.get(), index, value), "bind");
    return *this;
}

statement& statement::bind(int index, std::uint64_t value) {
    return bind(index, static_cast<std::int64_t>(value));
}

bool statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        throw_error(sqlite3_db_handle(statement_.get()), "database");
    return code == SQLITE_ROW;
}

void statement::run() {
    // Reset even after an error: a statement that is left in the middle would keep the transaction from
    // ending.
    struct resetter {
        statement& used;
        ~resetter() { used.reset(); }
    } at_end{*this};
    step();
}

void statement::reset() {
    sqlite3_reset(statement_.get());
}

std::string statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    return bytes
               ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)))
               : std::string();
}

std::int64_t statement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}

double statement::real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
}

} // namespace index_documents::sqlite
