// SPDX-License-Identifier: MIT
// From a document's bytes to its title and its words: plain text, HTML and Markdown.
#pragma once

#include <string>
#include <string_view>

namespace index_documents {

enum class markup { plain, html, markdown };

/// The readable part of a document.
struct extracted_text {
    std::string title; ///< empty if the document names none
    std::string text;  ///< UTF-8 without markup
};

/// Which markup to expect, by the file's name (without `.gz`) and the first bytes of its text.
markup detect_markup(std::string_view file_name, std::string_view text);

/// Makes sure that the bytes are text and returns them as UTF-8 without byte order mark; what is not UTF-8 is
/// read as ISO 8859-1. \throws binary_file if there are NUL bytes, many control characters or mostly bytes
/// that are not UTF-8
std::string require_text(std::string bytes);

/// Takes UTF-8 text apart. Nothing is an error: damaged markup is taken as far as it goes.
extracted_text extract_text(std::string text, markup kind);

/// Strips tags, comments, scripts and styles and decodes entities. The title is `<title>`, else the first
/// `<h1>`.
extracted_text extract_html(std::string_view html);

/// Strips headings' and lists' marks, emphasis, links' targets and fences; the code in fences stays. The
/// title is the first heading.
extracted_text extract_markdown(std::string_view text);

/// Appends the character of the entity at the beginning of `text` (`&amp;`, `&#228;`, `&#xE4;`).
/// \returns how many bytes of `text` it took; 0, and nothing appended, if there is no known entity
std::size_t append_entity(std::string& to, std::string_view text);

/// Length of the tag, comment or declaration that begins with the `<` at the beginning of `text`; 0 if there
/// is none. One that is never closed reaches to the end.
std::size_t tag_length(std::string_view text);

/// Words separated by single spaces.
std::string collapse_spaces(std::string_view text);

} // namespace index_documents
