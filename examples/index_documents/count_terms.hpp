// SPDX-License-Identifier: MIT
// Counts the terms of a text: runs of letters and digits in lower case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace index_documents {

/// Hashes strings and views alike, so that looking up a term costs no allocation.
struct term_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view term) const { return std::hash<std::string_view>{}(term); }
};

/// How often each term occurs.
using term_counts = std::unordered_map<std::string, std::uint64_t, term_hash, std::equal_to<>>;

/// Counts the terms of UTF-8 text. Longer terms than 64 bytes (encoded data, not words) count under their
/// beginning.
term_counts count_terms(std::string_view text);

/// The most frequent terms that tell something: of three letters or more, no numbers, no English function
/// words. Best first; terms of the same count in alphabetical order.
std::vector<std::pair<std::string, std::uint64_t>> keywords(const term_counts& counts, std::size_t at_most);

} // namespace index_documents
