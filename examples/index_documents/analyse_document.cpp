// SPDX-License-Identifier: MIT
// Strings the steps together that every document goes through.
#include "analyse_document.hpp"

#include "count_terms.hpp"
#include "document_errors.hpp"
#include "extract_text.hpp"
#include "read_file.hpp"
#include "utf8.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace index_documents {

namespace {

constexpr std::size_t max_title_bytes = 200;
constexpr std::size_t max_keywords = 8;

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0
}

std::string decompress(std::string bytes, std::string_view name) {
    if (looks_like_gzip(bytes))
        return inflate_gzip(bytes, max_document_bytes);
    if (name.ends_with(".gz"))
        throw damaged_file("not gzip data");
    return bytes;
}

} // namespace

indexed_document analyse_document(const document& source) {
    const std::string_view name = file_name(source.path);
    std::string bytes = read_file(source.path, max_document_bytes);
    indexed_document result;
    result.path = source.path;
    result.file_bytes = bytes.size();
    const std::string text = require_text(decompress(std::move(bytes), name));
    extracted_text extracted = extract_text(text, detect_markup(name, text));
    if (extracted.text.size() > max_document_bytes)
        throw oversized_file("more than " + std::to_string(max_document_bytes) + " bytes of text");

    const term_counts counts = count_terms(extracted.text);
    for (const auto& [term, count] : counts)
        result.terms += count;
    result.distinct_terms = counts.size();
    result.keywords = keywords(counts, max_keywords);
    const std::string title = extracted.title.empty() ? utf8::repair(name) : extracted.title;
    result.title = utf8::prefix(title, max_title_bytes);
    result.text = std::move(extracted.text);
    return result;
}

} // namespace index_documents
