// SPDX-License-Identifier: MIT
// Implements UTF-8 and the character classes with ranges; needs no locale, so every worker agrees.
#include "utf8.hpp"

#include <algorithm>
#include <array>

namespace index_documents::utf8 {

namespace {

constexpr char32_t replacement = 0xFFFD;

struct range {
    char32_t first;
    char32_t last;
};

// Blocks of punctuation, spaces, symbols and pictures beyond ASCII.
constexpr std::array<range, 15> not_in_terms{{{0x80, 0xA9},
                                              {0xAB, 0xB1},
                                              {0xB4, 0xB4},
                                              {0xB6, 0xB8},
                                              {0xBB, 0xBF},
                                              {0xD7, 0xD7},
                                              {0xF7, 0xF7},
                                              {0x2000, 0x206F},
                                              {0x20A0, 0x20CF},
                                              {0x2190, 0x2BFF},
                                              {0x3000, 0x3004},
                                              {0x3008, 0x3020},
                                              {0xE000, 0xF8FF},
                                              {0xFE00, 0xFE6F},
                                              {0x1F000, 0x1FAFF}}};

bool is_between(char32_t code, char32_t first, char32_t last) {
    return first <= code && code <= last;
}

bool is_scalar(char32_t code) {
    return code <= 0x10FFFF && !is_between(code, 0xD800, 0xDFFF);
}

// The bytes that a first byte announces; 0 for one that cannot come first.
std::size_t announced_size(unsigned char first) {
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

} // namespace

decoded decode(std::string_view text, std::size_t position) {
    static constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    const auto first = static_cast<unsigned char>(text[position]);
    if (first < 0x80)
        return {first, 1};
    const std::size_t size = announced_size(first);
    if (size == 0 || text.size() - position < size)
        return {};
    char32_t code = first & (0x7Fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text[position + i]);
        if ((next & 0xC0u) != 0x80u)
            return {};
        code = (code << 6) | (next & 0x3Fu);
    }
    if (code < smallest[size] || !is_scalar(code))
        return {};
    return {code, size};
}

void append(std::string& to, char32_t code) {
    if (code == 0 || !is_scalar(code))
        code = replacement;
    const auto tail = [&](unsigned shift) { to += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
    if (code < 0x80) {
        to += static_cast<char>(code);
    } else if (code < 0x800) {
        to += static_cast<char>(0xC0 | (code >> 6));
        tail(0);
    } else if (code < 0x10000) {
        to += static_cast<char>(0xE0 | (code >> 12));
        tail(6);
        tail(0);
    } else {
        to += static_cast<char>(0xF0 | (code >> 18));
        tail(12);
        tail(6);
        tail(0);
    }
}

std::size_t count_invalid(std::string_view text) {
    std::size_t invalid = 0;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = decode(text, i).size;
        invalid += size == 0;
        i += std::max<std::size_t>(size, 1);
    }
    return invalid;
}

std::string repair(std::string_view text) {
    std::string repaired;
    repaired.reserve(text.size() + text.size() / 8);
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = decode(text, i).size;
        if (size == 0)
            append(repaired, static_cast<unsigned char>(text[i]));
        else
            repaired.append(text, i, size);
        i += std::max<std::size_t>(size, 1);
    }
    return repaired;
}

std::string_view prefix(std::string_view text, std::size_t max_bytes) {
    if (text.size() <= max_bytes)
        return text;
    while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xC0u) == 0x80u)
        --max_bytes;
    return text.substr(0, max_bytes);
}

bool is_term_character(char32_t code) {
    if (code < 0x80)
        return is_between(code, U'a', U'z') || is_between(code, U'A', U'Z') || is_between(code, U'0', U'9');
    if (code == replacement)
        return false;
    return std::none_of(not_in_terms.begin(), not_in_terms.end(),
                        [code](const range& r) { return is_between(code, r.first, r.last); });
}

char32_t to_lower(char32_t code) {
    if (is_between(code, U'A', U'Z') || (is_between(code, 0xC0, 0xDE) && code != 0xD7))
        return code + 0x20;
    if (is_between(code, 0x391, 0x3A9) || is_between(code, 0x410, 0x42F))
        return code + 0x20;
    if (is_between(code, 0x400, 0x40F))
        return code + 0x50;
    // In Extended-A capital and small letters alternate; two runs of it have their capitals on odd numbers.
    if (is_between(code, 0x139, 0x148) || is_between(code, 0x179, 0x17E))
        return code % 2 == 1 ? code + 1 : code;
    if (code == 0x178)
        return 0xFF;
    if (is_between(code, 0x100, 0x137) || is_between(code, 0x14A, 0x177))
        return code % 2 == 0 && code != 0x130 ? code + 1 : code;
    return code;
}

} // namespace index_documents::utf8
