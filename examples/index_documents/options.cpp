// SPDX-License-Identifier: MIT
// Implements the command line: every wrong argument becomes one line that names it and says what is right.
#include "options.hpp"

#include "search.hpp"

#include <charconv>
#include <ostream>
#include <system_error>

namespace index_documents {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t max_workers = 1023;
constexpr std::size_t max_window = 65536;

std::string in_quotes(std::string_view text) {
    return "'" + std::string(text) + "'";
}

std::size_t parse_number(std::string_view option, std::string_view value, std::size_t largest) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_number = end == value.data() + value.size() && error != std::errc::invalid_argument;
    if (!is_number || error == std::errc::result_out_of_range || number < 1 || number > largest)
        throw usage_error(std::string(option) + " must be a whole number from 1 to " +
                          std::to_string(largest) + ", not " + in_quotes(value));
    return number;
}

class parser {
public:
    explicit parser(const std::vector<std::string_view>& arguments)
        : arguments_(arguments) {}

    options parse() {
        bool options_ended = false;
        while (next_ < arguments_.size()) {
            const std::string_view argument = arguments_[next_++];
            if (options_ended || argument == "-" || !argument.starts_with('-'))
                take_folder(argument);
            else if (argument == "--")
                options_ended = true;
            else
                take_option(argument);
        }
        if (!parsed_.help)
            check();
        return parsed_;
    }

private:
    void take_folder(std::string_view argument) {
        if (has_folder_)
            throw usage_error("only one FOLDER can be indexed, " + in_quotes(argument) + " is one too many");
        has_folder_ = true;
        parsed_.folder = argument;
    }

    void take_option(std::string_view argument) {
        const std::size_t equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        if (name == "--workers")
            parsed_.workers = parse_number(name, value(argument, equals), max_workers);
        else if (name == "--window")
            parsed_.window = parse_number(name, value(argument, equals), max_window);
        else if (name == "--database")
            parsed_.database = value(argument, equals);
        else if (name == "--search" || name == "--search-only")
            take_search(name, value(argument, equals));
        else if (argument == "--progress")
            parsed_.progress = true;
        else if (argument == "--help" || argument == "-h")
            parsed_.help = true;
        else
            throw usage_error("unknown option " + in_quotes(argument) + ", see --help");
    }

    void take_search(std::string_view name, std::string_view words) {
        if (search_query(words).empty())
            throw usage_error(std::string(name) + " needs at least one word");
        parsed_.search = words;
        parsed_.index = name == "--search";
    }

    // The value of an option: behind its "=", else the next argument.
    std::string_view value(std::string_view argument, std::size_t equals) {
        if (equals != std::string_view::npos)
            return argument.substr(equals + 1);
        if (next_ == arguments_.size())
            throw usage_error(std::string(argument) + " needs a value");
        return arguments_[next_++];
    }

    void check() const {
        std::error_code error;
        if (!parsed_.index && has_folder_)
            throw usage_error("--search-only indexes nothing, so it takes no FOLDER");
        if (parsed_.index && !fs::is_directory(parsed_.folder, error))
            throw usage_error("FOLDER " + in_quotes(parsed_.folder.native()) + " " +
                              (fs::exists(parsed_.folder, error) ? "is not a folder" : "does not exist"));
        const fs::path& database = parsed_.database;
        if (database.empty())
            throw usage_error("--database needs a file name");
        if (fs::is_directory(database, error))
            throw usage_error("--database " + in_quotes(database.native()) + " is a folder");
        if (database.has_parent_path() && !fs::is_directory(database.parent_path(), error))
            throw usage_error("--database: there is no folder " + in_quotes(database.parent_path().native()));
        if (!parsed_.index && !fs::exists(database, error))
            throw usage_error("--search-only: there is no index " + in_quotes(database.native()));
    }

    const std::vector<std::string_view>& arguments_;
    std::size_t next_ = 0;
    bool has_folder_ = false;
    options parsed_;
};

} // namespace

options parse_options(const std::vector<std::string_view>& arguments) {
    return parser(arguments).parse();
}

void print_help(std::ostream& to) {
    to << "Usage: index_documents [OPTION]... [FOLDER]\n"
          "       index_documents --search-only WORDS [--database FILE]\n"
          "\n"
          "Indexes the documents below FOLDER (default: /usr/share/doc) for full-text search in an SQLite "
          "database:\n"
          "plain text, HTML and Markdown, also compressed with gzip. Worker processes read and take apart "
          "the\n"
          "documents, and the results arrive in the order of the walk. Each directory is one batch: it is "
          "committed\n"
          "whole, and reported with its exact number of documents. What cannot be indexed is counted by "
          "reason, and\n"
          "stops nothing. An index that is in the database already is replaced.\n"
          "\n"
          "  --workers N          worker processes, 1 to 1023 (default: one per CPU)\n"
          "  --window N           results that may wait for their turn, 1 to 65536 (default: 10 per worker)\n"
          "  --database FILE      where the index is (default: index_documents.sqlite)\n"
          "  --search WORDS       after indexing, print the best documents that have all the words\n"
          "  --search-only WORDS  index nothing, search the index that is there\n"
          "  --progress           show progress even if standard error is no terminal\n"
          "  -h, --help           show this\n"
          "\n"
          "Ctrl-C stops: complete batches stay in the database, the incomplete one is taken back. A second "
          "one ends\n"
          "the program at once.\n"
          "\n"
          "Exit status: 0 if all went well (even if documents failed), 1 after an error, 2 for bad "
          "arguments,\n"
          "130 after Ctrl-C.\n";
}

} // namespace index_documents
