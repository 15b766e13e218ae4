// SPDX-License-Identifier: MIT
// The little of Unicode that indexing needs: reading and writing UTF-8, repairing other encodings, lower
// case.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace index_documents::utf8 {

/// A code point and the number of bytes that it took; `size` is 0 where the bytes are not UTF-8.
struct decoded {
    char32_t code = 0;
    std::size_t size = 0;
};

/// Decodes what stands at `position`, which must lie within `text`.
decoded decode(std::string_view text, std::size_t position);

/// Appends a code point; what is none (a surrogate, beyond U+10FFFF, U+0000) becomes U+FFFD.
void append(std::string& to, char32_t code);

/// How many bytes of the text are not part of valid UTF-8.
std::size_t count_invalid(std::string_view text);

/// Text with every byte that is not UTF-8 read as ISO 8859-1, the usual encoding of older documents.
std::string repair(std::string_view text);

/// The longest prefix of at most `max_bytes` that does not cut a character.
std::string_view prefix(std::string_view text, std::size_t max_bytes);

/// True for what terms consist of: letters and digits. Beyond ASCII all is a letter but known punctuation and
/// symbols.
bool is_term_character(char32_t code);

/// Lower case for Latin (ASCII, Latin-1, Extended-A), Greek and Cyrillic letters; others stay as they are.
char32_t to_lower(char32_t code);

} // namespace index_documents::utf8
