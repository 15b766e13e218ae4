// SPDX-License-Identifier: MIT
// index_documents: makes a folder of documents searchable. The program from the command line to the exit
// status.
//
//   walk ──────────► index ──────────────────────────────► write
//   input_node       forkflow::ordered_process_node        serial function_node
//   one document     worker processes read, decompress,    one transaction per directory
//   after another    extract and count; any may crash      in an SQLite full-text index
//
// Behind the documents of each directory travels a batch_done. It never enters a process, yet cannot
// overtake: when it arrives, all outcomes of its directory have arrived, and the transaction can be
// committed.
#include "options.hpp"
#include "pipeline.hpp"
#include "search.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace {

using namespace index_documents;

enum exit_status { success = 0, failure = 1, bad_arguments = 2, interrupted_status = 128 + SIGINT };

// A signal handler reaches nothing but a global.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void stop_at_interrupt() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted.store(true); };
    // Reset: the second Ctrl-C ends the program. Restart: no write that is under way is cut off by the first.
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(SIGINT, &action, nullptr);
}

exit_status index_all(const options& chosen, reporter& reports) {
    stop_at_interrupt();
    const run_result result = index_folder(chosen, reports, interrupted);
    if (result.interrupted) {
        reports.interrupted(result.totals, result.rolled_back, chosen.database.native());
        return interrupted_status;
    }
    reports.summary(result.totals, chosen.database.native());
    return result.totals.errors == 0 ? success : failure;
}

exit_status search_index(const options& chosen, reporter& reports) {
    constexpr std::size_t shown_hits = 10;
    sqlite::connection index = open_index(chosen.database);
    const index_totals all = totals(index);
    reports.index(all, chosen.database.native());
    reports.hits(*chosen.search, search(index, *chosen.search, shown_hits));
    if (!all.whole)
        reports.error("the index does not hold whole batches");
    return all.whole ? success : failure;
}

exit_status run(const std::vector<std::string_view>& arguments) {
    const options chosen = parse_options(arguments);
    if (chosen.help) {
        print_help(std::cout);
        return success;
    }
    reporter reports(chosen.progress);
    exit_status status = success;
    if (chosen.index)
        status = index_all(chosen, reports);
    if (status == success && chosen.search)
        status = search_index(chosen, reports);
    if (!reports.all_written())
        throw std::runtime_error("cannot write to standard output");
    return status;
}

} // namespace

int main(int argc, char* argv[]) {
    try {
        return run({argv + std::min(argc, 1), argv + argc});
    } catch (const usage_error& error) {
        std::cerr << "index_documents: " << printable(error.what()) << '\n';
        return bad_arguments;
    } catch (const std::exception& error) {
        std::cerr << "index_documents: " << printable(error.what()) << '\n';
        return failure;
    }
}
