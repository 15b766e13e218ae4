// SPDX-License-Identifier: MIT
// Decides what kind of text a document is, and hands it to the extraction for that kind.
#include "extract_text.hpp"

#include "document_errors.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace index_documents {

namespace {

bool begins_with_ignoring_case(std::string_view text, std::string_view lower_case_prefix) {
    return text.size() >= lower_case_prefix.size() &&
           std::equal(
               lower_case_prefix.begin(), lower_case_prefix.end(), text.begin(),
               [](char wanted, char c) { return std::tolower(static_cast<unsigned char>(c)) == wanted; });
}

bool has_ending(std::string_view name, std::string_view lower_case_ending) {
    return name.size() > lower_case_ending.size() &&
           begins_with_ignoring_case(name.substr(name.size() - lower_case_ending.size()), lower_case_ending);
}

bool is_odd_control(char c) {
    // Backspace and escape are used by formatted manual pages; form feed by RFCs.
    static constexpr std::string_view usual = "\t\n\v\f\r\b\x1b";
    return static_cast<unsigned char>(c) < 0x20 && usual.find(c) == std::string_view::npos;
}

} // namespace

markup detect_markup(std::string_view file_name, std::string_view text) {
    if (has_ending(file_name, ".gz"))
        file_name.remove_suffix(3);
    static constexpr std::array<std::string_view, 3> html{".html", ".htm", ".xhtml"};
    static constexpr std::array<std::string_view, 3> markdown{".md", ".markdown", ".mdown"};
    const auto named = [&](const auto& endings) {
        return std::any_of(endings.begin(), endings.end(),
                           [&](std::string_view ending) { return has_ending(file_name, ending); });
    };
    if (named(html))
        return markup::html;
    if (named(markdown))
        return markup::markdown;
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start != std::string_view::npos && (begins_with_ignoring_case(text.substr(start), "<!doctype html") ||
                                            begins_with_ignoring_case(text.substr(start), "<html")))
        return markup::html;
    return markup::plain;
}

std::string require_text(std::string bytes) {
    if (bytes.find('\0') != std::string::npos)
        throw binary_file("NUL bytes");
    const auto odd = static_cast<std::size_t>(std::count_if(bytes.begin(), bytes.end(), is_odd_control));
    if (odd > bytes.size() / 20)
        throw binary_file("many control characters");
    const std::size_t invalid = utf8::count_invalid(bytes);
    if (invalid > bytes.size() * 3 / 10)
        throw binary_file("mostly bytes that are no UTF-8");
    if (invalid > 0)
        return utf8::repair(bytes);
    if (bytes.starts_with("\xEF\xBB\xBF"))
        bytes.erase(0, 3);
    return bytes;
}

extracted_text extract_text(std::string text, markup kind) {
    switch (kind) {
    case markup::html:
        return extract_html(text);
    case markup::markdown:
        return extract_markdown(text);
    case markup::plain:
        break;
    }
    return {{}, std::move(text)};
}

std::string collapse_spaces(std::string_view text) {
    std::string collapsed;
    for (const char c : text) {
        if (std::string_view(" \t\r\n\v\f").find(c) == std::string_view::npos)
            collapsed += c;
        else if (!collapsed.empty() && collapsed.back() != ' ')
            collapsed += ' ';
    }
    if (!collapsed.empty() && collapsed.back() == ' ')
        collapsed.pop_back();
    return collapsed;
}

} // namespace index_documents
