// SPDX-License-Identifier: MIT
// Reads Markdown line by line: first what a line is (heading, item, fence), then what is marked within it.
#include "extract_text.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace index_documents {

namespace {

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// True for lines such as "---", "* * *" and "====": at least `least` of one of the marks, and nothing else.
bool is_rule(std::string_view line, std::string_view marks, std::size_t least) {
    if (line.empty() || marks.find(line[0]) == std::string_view::npos)
        return false;
    const auto count = static_cast<std::size_t>(std::count(line.begin(), line.end(), line[0]));
    return count >= least && line.find_first_not_of(std::string{line[0], ' '}) == std::string_view::npos;
}

bool is_reference_definition(std::string_view line) {
    const std::size_t close = line.find("]:");
    return line.starts_with('[') && close != std::string_view::npos && close > 1;
}

// What stands behind quotes' and list items' marks, which may be nested.
std::string_view without_block_marks(std::string_view line) {
    for (;;) {
        line = trim(line);
        const std::size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
        if (line.starts_with('>'))
            line.remove_prefix(1);
        else if (line.size() > 1 && line[1] == ' ' &&
                 std::string_view("-*+").find(line[0]) != std::string_view::npos)
            line.remove_prefix(2);
        else if (digits > 0 && digits < 4 &&
                 (line.substr(digits).starts_with(". ") || line.substr(digits).starts_with(") ")))
            line.remove_prefix(digits + 2);
        else
            return line;
    }
}

// Where the bracket that opens at `open` is closed; npos if it is not. Bounded, so that a line of open
// brackets costs no quadratic time.
std::size_t closing_bracket(std::string_view line, std::size_t open, char opening, char closing) {
    constexpr std::size_t reach = 500;
    int depth = 0;
    for (std::size_t i = open; i < std::min(line.size(), open + reach); ++i) {
        if (line[i] == '\\')
            ++i;
        else if (line[i] == opening)
            ++depth;
        else if (line[i] == closing && --depth == 0)
            return i;
    }
    return std::string_view::npos;
}

// The end of what follows a link's text: "(target)" or "[name]"; `from` if there is neither.
std::size_t end_of_target(std::string_view line, std::size_t from) {
    if (from >= line.size() || (line[from] != '(' && line[from] != '['))
        return from;
    const std::size_t close = closing_bracket(line, from, line[from], line[from] == '(' ? ')' : ']');
    return close == std::string_view::npos ? from : close + 1;
}

std::string inline_text(std::string_view line, int depth = 0);

// Handles one mark at `at`; returns how many bytes of the line it took, 0 if the character is no mark there.
std::size_t take_inline_mark(std::string& text, std::string_view line, std::size_t at, int depth) {
    constexpr int deepest = 8;
    const char c = line[at];
    const std::string_view rest = line.substr(at);
    if (c == '\\' && rest.size() > 1 && std::ispunct(static_cast<unsigned char>(rest[1]))) {
        text += rest[1];
        return 2;
    }
    if (c == '*' || c == '`' || (c == '~' && rest.starts_with("~~")))
        return 1;
    if (c == '_' && (at == 0 || !is_word(line[at - 1]) || rest.size() == 1 || !is_word(rest[1])))
        return 1;
    if (c == '!' && rest.starts_with("!["))
        return 1;
    if (c == '&')
        return append_entity(text, rest);
    if (c == '<' && (rest.starts_with("<http") || rest.starts_with("<mailto:")))
        return 1;
    if (c == '<')
        return tag_length(rest);
    if (c != '[' || depth == deepest)
        return 0;
    const std::size_t close = closing_bracket(line, at, '[', ']');
    if (close == std::string_view::npos)
        return 0;
    text += inline_text(line.substr(at + 1, close - at - 1), depth + 1);
    return end_of_target(line, close + 1) - at;
}

std::string inline_text(std::string_view line, int depth) {
    std::string text;
    for (std::size_t i = 0; i < line.size();) {
        const std::size_t taken = take_inline_mark(text, line, i, depth);
        if (taken == 0)
            text += line[i++];
        i += taken;
    }
    return text;
}

class markdown_reader {
public:
    extracted_text read(std::string_view text) {
        result_.text.reserve(text.size());
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            take_line(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return std::move(result_);
    }

private:
    void take_line(std::string_view raw) {
        const std::string_view line = trim(raw);
        if (line.starts_with("```") || line.starts_with("~~~")) {
            in_fence_ = !in_fence_;
        } else if (in_fence_) {
            append(std::string(raw));
        } else if (line.starts_with('#')) {
            take_heading(line);
        } else if (is_rule(line, "=-", 2) && !previous_.empty()) {
            set_title(previous_);
            previous_.clear();
        } else if (!is_rule(line, "-*_=", 3) && !is_reference_definition(line)) {
            previous_ = inline_text(without_block_marks(line));
            append(previous_);
        }
    }

    void take_heading(std::string_view line) {
        const std::size_t first = std::min(line.find_first_not_of('#'), line.size());
        if (first > 6 || (first < line.size() && line[first] != ' ' && line[first] != '\t')) {
            append(inline_text(line)); // "#hashtag" is text
            return;
        }
        line = trim(line.substr(first));
        while (line.ends_with('#'))
            line.remove_suffix(1);
        const std::string heading = inline_text(trim(line));
        set_title(heading);
        append(heading);
        previous_.clear();
    }

    void set_title(std::string_view heading) {
        if (result_.title.empty())
            result_.title = collapse_spaces(heading);
    }

    void append(std::string_view line) {
        result_.text += line;
        result_.text += '\n';
    }

    bool in_fence_ = false;
    std::string previous_; // the line before, which a line of "=" or "-" makes a heading
    extracted_text result_;
};

} // namespace

extracted_text extract_markdown(std::string_view text) {
    return markdown_reader().read(text);
}

} // namespace index_documents
