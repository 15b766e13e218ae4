// SPDX-License-Identifier: MIT
// Tests what the workers do with a document: reading, decompressing, extracting and counting.
#include "analyse_document.hpp"
#include "count_terms.hpp"
#include "document_errors.hpp"
#include "extract_text.hpp"
#include "read_file.hpp"
#include "test_folder.hpp"
#include "utf8.hpp"

#include "support/catch.hpp"

#include <random>
#include <sys/stat.h>

using namespace index_documents;

TEST_CASE("HTML loses tags, scripts, styles and comments, and keeps its words apart") {
    const extracted_text page = extract_html(
        "<!DOCTYPE html><html><head><title>Fork &amp;\n Flow</title>"
        "<style>p{color:red}</style><script>if (a < b) alert('no');</script></head>"
        "<body><!-- <p>hidden</p> --><h1>Heading</h1><ul><li>one<li>two</ul>"
        "<p title=\"a > b\">f<b>or</b>k &lt;tag&gt; &#228;&#xE4; &unknown; a < b</p></body></html>");
    CHECK(page.title == "Fork & Flow");
    CHECK(page.text == "Heading\none\ntwo\nfork <tag> \u00E4\u00E4 &unknown; a < b");
}

TEST_CASE("HTML without a title takes the first heading, and names no title if it has neither") {
    CHECK(extract_html("<h1 class=x>First <em>one</em></h1><h1>Second</h1>").title == "First one");
    CHECK(extract_html("<p>nothing</p>").title.empty());
    CHECK(extract_html("<title>never closed <p>words").text == "never closed\nwords");
}

TEST_CASE("damaged HTML is taken as far as it goes") {
    CHECK(extract_html("words <!-- never closed").text == "words");
    CHECK(extract_html("words <script>never closed").text == "words");
    CHECK(extract_html("words <a href=\"never closed").text == "words");
    CHECK(extract_html("a &#0; &#xFFFFFFFFFF; &#; &;").text == "a &#0; &#xFFFFFFFFFF; &#; &;");
    CHECK(extract_html("<").text == "<");
    CHECK(extract_html("").text.empty());
}

TEST_CASE("Markdown loses its marks and keeps its words") {
    const extracted_text page =
        extract_markdown("Intro line\n\n# The *main* heading #\n\n"
                         "> - some **bold** and _soft_ text, snake_case stays\n"
                         "2. a [link [nested]](http://example.org/a_b) and ![picture](x.png)\n"
                         "[ref]: http://example.org\n"
                         "---\n"
                         "```cpp\n# int *code;\n```\n"
                         "1 &lt; 2 \\*no emphasis\\* <br> #hashtag [ref][x]\n");
    CHECK(page.title == "The main heading");
    CHECK(page.text == "Intro line\n\nThe main heading\n\nsome bold and soft text, snake_case stays\n"
                       "a link nested and picture\n# int *code;\n1 < 2 *no emphasis*  #hashtag ref\n");
}

TEST_CASE("an underlined line is a Markdown heading") {
    CHECK(extract_markdown("Title\n=====\ntext").title == "Title");
    CHECK(extract_markdown("\n-----\ntext").title.empty());
}

TEST_CASE("the kind of markup is told by the name, and HTML by its beginning too") {
    CHECK(detect_markup("a.HTML.gz", "") == markup::html);
    CHECK(detect_markup("README.md", "") == markup::markdown);
    CHECK(detect_markup("copyright", "plain") == markup::plain);
    CHECK(detect_markup("index", "\n <!DocType HTML>") == markup::html);
    CHECK(detect_markup(".md", "") == markup::plain);
}

TEST_CASE("text is told from binary data, and other encodings are repaired") {
    CHECK(require_text("plain \xC3\xA4") == "plain \u00E4");
    CHECK(require_text("latin gr\xFC\xDF"
                       "e") == "latin gr\u00FC\u00DFe");
    CHECK(require_text("\xEF\xBB\xBFmarked") == "marked");
    CHECK(require_text("").empty());
    CHECK_THROWS_AS(require_text(std::string("ab\0cd", 5)), binary_file);
    CHECK_THROWS_AS(require_text("\x01\x02\x03\x04 control"), binary_file);
    CHECK_THROWS_AS(require_text("\xC1\xC2\xC3\xC4\xC5"), binary_file);
}

TEST_CASE("UTF-8 decoding refuses what is not UTF-8") {
    for (const std::string_view wrong :
         {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80", "\xFF"})
        CHECK(utf8::count_invalid(wrong) == wrong.size());
    CHECK(utf8::count_invalid("\u00E4\u20AC\U0001F600") == 0);
    CHECK(utf8::prefix("a\u20AC", 3) == "a");
    CHECK(utf8::prefix("a\u20AC", 4) == "a\u20AC");
}

TEST_CASE("terms are runs of letters and digits in lower case, in any script") {
    const term_counts counts =
        count_terms("Fork fork, FORK-2; \u00C4rger \u00E4rger \u2014 \u0416 \u0436 \u039B \u03BB");
    CHECK(counts == term_counts{{"fork", 3}, {"2", 1}, {"\u00E4rger", 2}, {"\u0436", 2}, {"\u03BB", 2}});
    CHECK(count_terms(" .,;").empty());
    CHECK(count_terms(std::string(1000, 'x')) == term_counts{{std::string(64, 'x'), 1}});
}

TEST_CASE("keywords are the most frequent telling terms, in an order that is always the same") {
    const term_counts counts{{"the", 9}, {"12345", 9}, {"ab", 9}, {"worker", 3}, {"fork", 2}, {"flow", 2}};
    const std::vector<std::pair<std::string, std::uint64_t>> expected{{"worker", 3}, {"flow", 2}};
    CHECK(keywords(counts, 2) == expected);
    CHECK(keywords(counts, 100).size() == 3);
}

TEST_CASE("gzip data of one or several members is inflated") {
    CHECK(inflate_gzip(gzip("content"), 100) == "content");
    CHECK(inflate_gzip(gzip("one ") + gzip("two"), 100) == "one two");
    CHECK(inflate_gzip(gzip("padded") + std::string(20, '\0'), 100) == "padded");
    CHECK(inflate_gzip(gzip(""), 100).empty());
    const std::string large(3'000'000, 'z');
    CHECK(inflate_gzip(gzip(large), large.size()) == large);
    CHECK_THROWS_AS(inflate_gzip(gzip(large), large.size() - 1), oversized_file);
}

TEST_CASE("damage to gzip data is noticed, wherever it is") {
    std::mt19937 random(7);
    std::string content;
    for (int i = 0; i < 200; ++i)
        content += "word" + std::to_string(random());
    const std::string whole = gzip(content);
    for (std::size_t length = 0; length < whole.size(); ++length)
        CHECK_THROWS_AS(inflate_gzip(whole.substr(0, length), 1 << 20), damaged_file);
    const std::size_t padded = whole.size() - 9; // the last bits before the checksum mean nothing
    for (std::size_t at = 10; at < whole.size(); ++at) {
        std::string broken = whole;
        broken[at] = static_cast<char>(broken[at] ^ 0x10);
        if (at != padded)
            CHECK_THROWS_AS(inflate_gzip(broken, 1 << 20), damaged_file);
    }
    CHECK_THROWS_AS(inflate_gzip(whole + "tail", 1 << 20), damaged_file);
}

TEST_CASE("a document becomes title, text, counts and keywords") {
    const test_folder folder;
    const std::string path =
        folder.write("a/page.html.gz", gzip("<title>Worker</title><p>Worker, worker and fork"));
    const indexed_document done = analyse_document({path});
    CHECK(done.path == path);
    CHECK(done.title == "Worker");
    CHECK(done.text == "Worker, worker and fork");
    CHECK(done.terms == 4);
    CHECK(done.distinct_terms == 3);
    CHECK(done.file_bytes == std::filesystem::file_size(path));
    CHECK(done.keywords.front() == std::pair<std::string, std::uint64_t>("worker", 2));
    CHECK(analyse_document({folder.write("plain", "words")}).title == "plain");
    CHECK(analyse_document({folder.write("empty", "")}).terms == 0);
}

TEST_CASE("a document that cannot be indexed says why by the type of its exception") {
    const test_folder folder;
    std::filesystem::create_symlink("nowhere", folder / "dangling");
    std::filesystem::create_symlink("loop", folder / "loop");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK_THROWS_AS(analyse_document({(folder / "dangling").native()}), unreadable_file);
    CHECK_THROWS_AS(analyse_document({(folder / "loop").native()}), unreadable_file);
    CHECK_THROWS_AS(analyse_document({(folder / "pipe").native()}), special_file);
    CHECK_THROWS_AS(analyse_document({"/dev/zero"}), special_file);
    CHECK_THROWS_AS(analyse_document({folder.path().native()}), unreadable_directory);
    CHECK_THROWS_AS(analyse_document({folder.write("no.gz", "not compressed")}), damaged_file);
    CHECK_THROWS_AS(analyse_document({folder.write("x.png", std::string("\x89PNG\0", 5))}), binary_file);
    CHECK_THROWS_AS(analyse_document({folder.write("huge", std::string(max_document_bytes + 1, 'x'))}),
                    oversized_file);
    const std::string bomb = gzip(std::string(4 * max_document_bytes, ' '));
    CHECK_THROWS_AS(analyse_document({folder.write("bomb.gz", bomb)}), oversized_file);
    // Latin-1 becomes longer as UTF-8: the limit holds for the text too.
    std::string growing = std::string(max_document_bytes - 10, 'x');
    for (std::size_t i = 0; i < growing.size(); i += 10)
        growing[i] = '\xE4';
    CHECK_THROWS_AS(analyse_document({folder.write("latin", growing)}), oversized_file);
    CHECK(analyse_document({folder.write("most", std::string(max_document_bytes, 'x'))}).terms == 1);
}

TEST_CASE("a file whose size is not known beforehand is read whole") {
    CHECK(read_file("/proc/self/cmdline", 1 << 20).size() > 0);
}

TEST_CASE("no input, however odd, breaks the extraction") {
    std::mt19937 random(42);
    constexpr std::string_view alphabet = "<>&;#[](){}!`*_-=\\/\"' \nax1\xC3\xA4\xFF";
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (std::size_t length = random() % 200; length > 0; --length)
            text += alphabet[random() % alphabet.size()];
        for (const markup kind : {markup::plain, markup::html, markup::markdown})
            (void)count_terms(extract_text(utf8::repair(text), kind).text);
    }
    for (const char* piece : {"[", "![", "<a ", "<!--", "&", "](", "\\", "> ", "- ", "<title>", "</"}) {
        std::string text;
        while (text.size() < 1'000'000)
            text += piece;
        for (const markup kind : {markup::html, markup::markdown})
            CHECK(extract_text(text, kind).text.size() <= text.size() + 1);
    }
}
