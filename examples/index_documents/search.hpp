// SPDX-License-Identifier: MIT
// Searches an index with whatever words a user types.
#pragma once

#include "sqlite.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace index_documents {

/// One document that has all the words.
struct hit {
    std::string path;
    std::string title;
    std::string keywords;
    std::string snippet; ///< where the words stand, in square brackets
    double score = 0;    ///< BM25 as FTS5 gives it: the smaller (the more negative), the better
};

/// The FTS5 query for documents that have all the words. Words are always words, never FTS5 syntax.
/// \returns nothing but an empty string if there are no words
std::string search_query(std::string_view words);

/// The best documents, best first.
std::vector<hit> search(sqlite::connection& index, std::string_view words, std::size_t at_most);

} // namespace index_documents
