// SPDX-License-Identifier: MIT
// Implements the search: each word becomes a quoted FTS5 string, which no character can break out of.
#include "search.hpp"

#include <algorithm>
#include <cstdint>

namespace index_documents {

std::string search_query(std::string_view words) {
    constexpr std::string_view spaces = " \t\r\n\v\f";
    std::string query;
    while (true) {
        words.remove_prefix(std::min(words.find_first_not_of(spaces), words.size()));
        if (words.empty())
            return query;
        const std::string_view word = words.substr(0, words.find_first_of(spaces));
        words.remove_prefix(word.size());
        query += query.empty() ? "\"" : " \"";
        for (const char c : word)
            query += c == '"' ? std::string("\"\"") : std::string(1, c);
        query += '"';
    }
}

std::vector<hit> search(sqlite::connection& index, std::string_view words, std::size_t at_most) {
    const std::string query = search_query(words);
    std::vector<hit> hits;
    if (query.empty())
        return hits;
    sqlite::statement best(index,
                           "SELECT path, title, keywords, snippet(contents, 1, '[', ']', ' ... ', 12), rank"
                           " FROM contents JOIN documents ON documents.id = contents.rowid"
                           " WHERE contents MATCH ?1 ORDER BY rank LIMIT ?2");
    best.bind(1, query).bind(2, std::uint64_t{at_most});
    while (best.step())
        hits.push_back({best.text(0), best.text(1), best.text(2), best.text(3), best.real(4)});
    return hits;
}

} // namespace index_documents
