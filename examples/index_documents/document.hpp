// SPDX-License-Identifier: MIT
// What flows through the indexing pipeline: the values that its stages hand to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace index_documents {

/// One file to be read, extracted and counted by a worker process.
struct document {
    std::string path;
};

/// Marker behind the last document of a directory: its batch is complete. It never leaves the program's
/// process.
struct batch_done {
    std::string directory;
    std::size_t documents = 0; ///< how many documents were sent before it for this directory
};

/// What a worker process made of a document.
struct indexed_document {
    std::string path;
    std::string title; ///< `<title>`, else the first heading, else the file name
    std::string text;  ///< UTF-8, without markup
    std::uint64_t file_bytes = 0;
    std::uint64_t terms = 0;
    std::uint64_t distinct_terms = 0;
    std::vector<std::pair<std::string, std::uint64_t>>
        keywords; ///< the most frequent telling terms, best first
};

/// A document that could not be indexed.
struct failed_document {
    std::string path;
    std::string kind; ///< a name to count by, such as `damaged_file` or `crashed`
    std::string what; ///< one line for people
};

/// What the walker sends into the pipeline.
using item = std::variant<document, batch_done>;

} // namespace index_documents
