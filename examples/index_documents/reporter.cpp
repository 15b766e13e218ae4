// SPDX-License-Identifier: MIT
// Implements the reports with stdio. Lines are flushed one by one: who reads them through a pipe sees them at
// once.
#include "reporter.hpp"

#include <cstdio>
#include <unistd.h>

namespace index_documents {

namespace {

constexpr std::chrono::milliseconds progress_interval{200};

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string documents(std::uint64_t count) {
    return counted(count, "document", "documents");
}

std::string mebibytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
    return text;
}

void print(std::FILE* to, const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), to);
    std::fputc('\n', to);
    std::fflush(to);
}

} // namespace

std::string printable(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
        const bool space = c == '\n' || c == '\r' || c == '\t';
        if (space)
            c = ' ';
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            c = '?';
    }
    return line;
}

reporter::reporter(bool progress)
    : terminal_(::isatty(STDERR_FILENO) == 1)
    , show_progress_(progress || terminal_) {}

void reporter::committed(const batch_done& batch, const batch_counts& counts) {
    clear_progress();
    print(stdout, "committed " + printable(batch.directory) + ": " + documents(batch.documents) + " (" +
                      std::to_string(counts.indexed) + " indexed, " + std::to_string(counts.failed) +
                      " failed)");
}

void reporter::failed(const failed_document& failure) {
    clear_progress();
    print(stderr, "failed " + printable(failure.path) + ": " + printable(failure.kind) + ": " +
                      printable(failure.what));
}

void reporter::error(std::string_view what) {
    clear_progress();
    print(stderr, "index_documents: " + printable(what));
}

bool reporter::wants_progress() const {
    return show_progress_ && clock::now() >= next_progress_;
}

void reporter::progress(const run_totals& totals, window_occupancy occupancy) {
    next_progress_ = clock::now() + progress_interval;
    const double elapsed = seconds();
    const double rate = elapsed > 0 ? static_cast<double>(totals.documents()) / elapsed : 0;
    std::fprintf(stderr, "%s%s, %.0f/s, window %zu of %zu, %s%s", terminal_ ? "\r\033[K" : "",
                 documents(totals.documents()).c_str(), rate, occupancy.used, occupancy.window,
                 counted(totals.failed, "failure", "failures").c_str(), terminal_ ? "" : "\n");
    std::fflush(stderr);
    line_shown_ = terminal_;
}

void reporter::summary(const run_totals& totals, std::string_view database) {
    clear_progress();
    std::string text = documents(totals.documents()) + " in " + counted(totals.batches, "batch", "batches") +
                       ": " + std::to_string(totals.indexed) + " indexed, " + std::to_string(totals.failed) +
                       " failed";
    for (const auto& [kind, count] : totals.failures_by_kind)
        text += "\n  " + printable(kind) + ": " + std::to_string(count);
    char time[64];
    const double elapsed = seconds();
    std::snprintf(time, sizeof time, "%.1f s, %.0f documents/s", elapsed,
                  elapsed > 0 ? static_cast<double>(totals.documents()) / elapsed : 0);
    text += "\n" + mebibytes(totals.file_bytes) + " of files, " + mebibytes(totals.text_bytes) +
            " of text, " + counted(totals.terms, "term", "terms") + "\n" + time + ", index in " +
            printable(database);
    print(stdout, text);
}

void reporter::interrupted(const run_totals& totals, const std::optional<batch_counts>& rolled_back,
                           std::string_view database) {
    clear_progress();
    std::string line =
        "index_documents: interrupted: " + counted(totals.batches, "whole batch is", "whole batches are") +
        " in " + printable(database);
    if (rolled_back)
        line += ", an incomplete one of " + documents(rolled_back->indexed + rolled_back->failed) +
                " was taken back";
    print(stderr, line);
}

void reporter::index(const index_totals& totals, std::string_view database) {
    print(stdout, "index " + printable(database) + ": " + counted(totals.batches, "batch", "batches") + ", " +
                      documents(totals.documents.indexed) + " indexed, " +
                      std::to_string(totals.documents.failed) + " failed");
}

void reporter::hits(std::string_view words, const std::vector<hit>& found) {
    if (found.empty())
        print(stdout, "nothing found for: " + printable(words));
    std::size_t rank = 0;
    for (const hit& h : found) {
        char score[32];
        std::snprintf(score, sizeof score, "%.3f", h.score);
        print(stdout, std::to_string(++rank) + ". " + printable(h.path) + " (bm25 " + score + ")\n   " +
                          printable(h.title) + "\n   " + printable(h.snippet) + "\n   " +
                          printable(h.keywords));
    }
}

bool reporter::all_written() const {
    return std::ferror(stdout) == 0;
}

double reporter::seconds() const {
    return std::chrono::duration<double>(clock::now() - start_).count();
}

void reporter::clear_progress() {
    if (line_shown_)
        std::fputs("\r\033[K", stderr);
    line_shown_ = false;
}

} // namespace index_documents
