// SPDX-License-Identifier: MIT
// Implements counting in one pass, one character after the other.
#include "count_terms.hpp"

#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>

namespace index_documents {

namespace {

constexpr std::size_t max_term_bytes = 64;

// Sorted, for binary search.
constexpr std::array<std::string_view, 60> function_words{
    "about",  "all",   "also", "and",  "any",  "are",  "been",  "but",   "can",  "could", "did",   "does",
    "each",   "for",   "from", "had",  "has",  "have", "her",   "his",   "how",  "into",  "its",   "may",
    "more",   "must",  "nor",  "not",  "off",  "one",  "only",  "other", "our",  "out",   "shall", "she",
    "should", "some",  "such", "than", "that", "the",  "their", "them",  "then", "there", "these", "they",
    "this",   "those", "was",  "were", "what", "when", "which", "will",  "with", "would", "you",   "your"};

bool is_keyword(std::string_view term) {
    const bool has_letter = std::any_of(term.begin(), term.end(),
                                        [](char c) { return !std::isdigit(static_cast<unsigned char>(c)); });
    return term.size() >= 3 && has_letter &&
           !std::binary_search(function_words.begin(), function_words.end(), term);
}

void add(term_counts& counts, std::string_view term) {
    term = utf8::prefix(term, max_term_bytes);
    if (const auto known = counts.find(term); known != counts.end())
        ++known->second;
    else
        counts.emplace(term, 1);
}

} // namespace

term_counts count_terms(std::string_view text) {
    term_counts counts;
    std::string term;
    for (std::size_t i = 0; i < text.size();) {
        const utf8::decoded character = utf8::decode(text, i);
        i += std::max<std::size_t>(character.size, 1);
        if (character.size > 0 && utf8::is_term_character(character.code)) {
            utf8::append(term, utf8::to_lower(character.code));
        } else if (!term.empty()) {
            add(counts, term);
            term.clear();
        }
    }
    if (!term.empty())
        add(counts, term);
    return counts;
}

std::vector<std::pair<std::string, std::uint64_t>> keywords(const term_counts& counts, std::size_t at_most) {
    std::vector<std::pair<std::string, std::uint64_t>> best;
    std::copy_if(counts.begin(), counts.end(), std::back_inserter(best),
                 [](const auto& counted) { return is_keyword(counted.first); });
    const auto middle = best.begin() + static_cast<std::ptrdiff_t>(std::min(at_most, best.size()));
    std::partial_sort(best.begin(), middle, best.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    best.erase(middle, best.end());
    return best;
}

} // namespace index_documents
