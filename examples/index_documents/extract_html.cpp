// SPDX-License-Identifier: MIT
// Reads HTML as a browser would show it, roughly: one pass over tags, text and entities, without a tree.
#include "extract_text.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <utility>

namespace index_documents {

namespace {

using entity = std::pair<std::string_view, char32_t>;
constexpr std::array<entity, 46> entities{
    {{"amp", U'&'},      {"lt", U'<'},     {"gt", U'>'},      {"quot", U'"'},    {"apos", U'\''},
     {"nbsp", U' '},     {"copy", 0xA9},   {"reg", 0xAE},     {"trade", 0x2122}, {"sect", 0xA7},
     {"para", 0xB6},     {"deg", 0xB0},    {"plusmn", 0xB1},  {"times", 0xD7},   {"middot", 0xB7},
     {"laquo", 0xAB},    {"raquo", 0xBB},  {"shy", 0xAD},     {"mdash", 0x2014}, {"ndash", 0x2013},
     {"hellip", 0x2026}, {"bull", 0x2022}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201C},
     {"rdquo", 0x201D},  {"larr", 0x2190}, {"rarr", 0x2192},  {"le", 0x2264},    {"ge", 0x2265},
     {"Auml", 0xC4},     {"Ouml", 0xD6},   {"Uuml", 0xDC},    {"auml", 0xE4},    {"ouml", 0xF6},
     {"uuml", 0xFC},     {"szlig", 0xDF},  {"agrave", 0xE0},  {"aacute", 0xE1},  {"aring", 0xE5},
     {"ccedil", 0xE7},   {"egrave", 0xE8}, {"eacute", 0xE9},  {"ntilde", 0xF1},  {"oslash", 0xF8},
     {"iacute", 0xED}}};

// Tags that do not part words: "<b>f</b>ork" is one word, "<li>fork<li>flow" are two.
constexpr std::array<std::string_view, 24> inline_tags{
    "a", "abbr", "b",    "bdi",   "cite", "code",   "dfn",    "em",  "font", "i",  "kbd", "mark",
    "q", "s",    "samp", "small", "span", "strike", "strong", "sub", "sup",  "tt", "u",   "var"};

bool is_letter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// The code point behind "#" or "#x"; 0 if it is no number.
char32_t numeric_entity(std::string_view digits) {
    const bool hexadecimal = digits.starts_with('x') || digits.starts_with('X');
    if (hexadecimal)
        digits.remove_prefix(1);
    std::uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, hexadecimal ? 16 : 10);
    return error == std::errc() && end == digits.data() + digits.size() ? code : 0;
}

struct tag {
    std::string name; // lower case, with the "/" of an end tag
    std::size_t length = 0;
};

tag read_tag(std::string_view text) {
    tag found{{}, tag_length(text)};
    std::size_t i = 1;
    if (i < text.size() && text[i] == '/')
        found.name += text[i++];
    for (; i < found.length && std::isalnum(static_cast<unsigned char>(text[i])); ++i)
        found.name += static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
    return found;
}

// Where the end tag of an element with raw content begins; the end of the text if it has none.
std::size_t find_end_tag(std::string_view text, std::size_t from, std::string_view name) {
    for (std::size_t at = text.find("</", from); at != std::string_view::npos; at = text.find("</", at + 2)) {
        const std::string_view rest = text.substr(at + 2, name.size());
        if (rest.size() == name.size() &&
            std::equal(rest.begin(), rest.end(), name.begin(),
                       [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; }))
            return at;
    }
    return text.size();
}

class html_reader {
public:
    explicit html_reader(std::string_view html)
        : html_(html) {
        result_.text.reserve(html.size() / 2);
    }

    extracted_text read() {
        while (position_ < html_.size()) {
            const char c = html_[position_];
            if (c == '<' && tag_length(html_.substr(position_)) > 0)
                take_tag();
            else if (c == '&')
                take_entity();
            else
                take_character(c);
        }
        if (result_.title.empty())
            result_.title = collapse_spaces(heading_);
        if (result_.text.ends_with(' ') || result_.text.ends_with('\n'))
            result_.text.pop_back();
        return std::move(result_);
    }

private:
    void take_tag() {
        const tag t = read_tag(html_.substr(position_));
        position_ += t.length;
        if (t.name == "script" || t.name == "style") {
            position_ = find_end_tag(html_, position_, t.name);
        } else if (t.name == "title" && !title_taken_) {
            take_title();
        } else if (t.name == "h1") {
            in_heading_ = heading_.empty();
        } else if (t.name == "/h1") {
            in_heading_ = false;
        }
        if (std::find(inline_tags.begin(), inline_tags.end(), without_slash(t.name)) == inline_tags.end())
            append_separator('\n');
    }

    void take_title() {
        title_taken_ = true;
        const std::size_t end = find_end_tag(html_, position_, "title");
        if (end == html_.size()) // never closed: then it is not the whole document
            return;
        result_.title = decode_title(html_.substr(position_, end - position_));
        position_ = end;
    }

    void take_entity() {
        std::string character;
        const std::size_t length = append_entity(character, html_.substr(position_));
        if (length == 0)
            return take_character('&');
        position_ += length;
        if (character == " ")
            append_separator(' ');
        else
            append(character);
    }

    void take_character(char c) {
        ++position_;
        if (std::isspace(static_cast<unsigned char>(c)))
            append_separator(' ');
        else
            append({&c, 1});
    }

    void append(std::string_view characters) {
        result_.text += characters;
        if (in_heading_)
            heading_ += characters;
    }

    // Runs of separators become one: a line break if there is one among them, else a space.
    void append_separator(char separator) {
        std::string& text = result_.text;
        if (in_heading_)
            heading_ += ' ';
        if (text.empty() || text.back() == '\n')
            return;
        if (text.back() == ' ')
            text.back() = separator == '\n' ? '\n' : ' ';
        else
            text += separator;
    }

    static std::string decode_title(std::string_view raw) {
        std::string title;
        for (std::size_t i = 0; i < raw.size();) {
            const std::size_t length = raw[i] == '&' ? append_entity(title, raw.substr(i)) : 0;
            if (length == 0)
                title += raw[i++];
            i += length;
        }
        return collapse_spaces(title);
    }

    static std::string_view without_slash(std::string_view name) {
        return name.starts_with('/') ? name.substr(1) : name;
    }

    std::string_view html_;
    std::size_t position_ = 0;
    bool title_taken_ = false;
    bool in_heading_ = false;
    std::string heading_;
    extracted_text result_;
};

} // namespace

extracted_text extract_html(std::string_view html) {
    return html_reader(html).read();
}

std::size_t append_entity(std::string& to, std::string_view text) {
    constexpr std::size_t longest = 12;
    const std::size_t end = text.substr(0, longest).find(';');
    if (end == std::string_view::npos || end < 2 || text[0] != '&')
        return 0;
    const std::string_view name = text.substr(1, end - 1);
    if (name[0] == '#') {
        const char32_t code = numeric_entity(name.substr(1));
        if (code == 0)
            return 0;
        utf8::append(to, code == 0xA0 ? U' ' : code);
        return end + 1;
    }
    const auto known =
        std::find_if(entities.begin(), entities.end(), [&](const entity& e) { return e.first == name; });
    if (known == entities.end())
        return 0;
    utf8::append(to, known->second);
    return end + 1;
}

std::size_t tag_length(std::string_view text) {
    if (text.size() < 2 || text[0] != '<')
        return 0;
    const auto up_to = [&](std::string_view end, std::size_t from) {
        const std::size_t at = text.find(end, from);
        return at == std::string_view::npos ? text.size() : at + end.size();
    };
    if (text.starts_with("<!--"))
        return up_to("-->", 4);
    if (text[1] == '!' || text[1] == '?')
        return up_to(">", 2);
    if (!is_letter(text[1]) && !(text[1] == '/' && text.size() > 2 && is_letter(text[2])))
        return 0;
    char quote = 0; // a ">" within an attribute's value does not end the tag
    for (std::size_t i = 1; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0)
            quote = c == quote ? char{0} : quote;
        else if ((c == '"' || c == '\'') && text[i - 1] == '=')
            quote = c;
        else if (c == '>')
            return i + 1;
    }
    return text.size();
}

} // namespace index_documents
