// SPDX-License-Identifier: MIT
// The command line of index_documents.
#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace index_documents {

/// Something that the user asked for cannot be done; `what()` is one line for the user. The program exits
/// with 2.
struct usage_error : std::runtime_error {
    using runtime_error::runtime_error;
};

/// What the user asked for.
struct options {
    bool help = false;
    bool progress = false; ///< show progress even if standard error is no terminal
    bool index = true;     ///< false: search what is there
    std::filesystem::path folder = "/usr/share/doc";
    std::filesystem::path database = "index_documents.sqlite";
    std::optional<std::size_t> workers; ///< 1 to 1023; nothing: one per CPU
    std::optional<std::size_t> window;  ///< 1 to 65536; nothing: ten per worker
    std::optional<std::string> search;
};

/// Understands and checks the arguments (without the program's name).
/// \throws usage_error
options parse_options(const std::vector<std::string_view>& arguments);

/// Writes what `--help` shows.
void print_help(std::ostream& to);

} // namespace index_documents
