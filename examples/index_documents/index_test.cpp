// SPDX-License-Identifier: MIT
// Tests what the program's own process does: options, walk, index, batches and search.
#include "batch_writer.hpp"
#include "index_database.hpp"
#include "options.hpp"
#include "reporter.hpp"
#include "search.hpp"
#include "test_folder.hpp"
#include "walker.hpp"

#include "support/catch.hpp"

#include <sstream>

using namespace index_documents;

namespace {

std::string usage_message(const std::vector<std::string_view>& arguments) {
    try {
        parse_options(arguments);
    } catch (const usage_error& error) {
        return error.what();
    }
    return {};
}

indexed_document make_document(const std::string& path, const std::string& text) {
    return {.path = path,
            .title = path,
            .text = text,
            .file_bytes = 1,
            .terms = 1,
            .distinct_terms = 1,
            .keywords = {}};
}

// The items of a folder as text: "file" or "directory=number of documents", relative to the folder.
std::vector<std::string> walk(const test_folder& folder,
                              const std::filesystem::path& excluded = "no database") {
    std::vector<std::string> seen;
    const auto relative = [&](const std::string& path) {
        return std::filesystem::path(path).lexically_relative(folder.path()).native();
    };
    walker walked(folder.path(), excluded);
    while (const std::optional<item> next = walked.next()) {
        if (const auto* sent = std::get_if<document>(&*next))
            seen.push_back(relative(sent->path));
        else
            seen.push_back(relative(std::get<batch_done>(*next).directory) + "=" +
                           std::to_string(std::get<batch_done>(*next).documents));
    }
    return seen;
}

std::vector<std::string> found(const std::filesystem::path& database, std::string_view words) {
    sqlite::connection index = open_index(database);
    std::vector<std::string> paths;
    for (const hit& h : search(index, words, 10))
        paths.push_back(h.path);
    return paths;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("options have defaults, and are taken from the command line in any order") {
    const test_folder folder;
    const std::string path = folder.path().native();
    CHECK(parse_options({path}).folder == path);
    CHECK_FALSE(parse_options({path}).workers);
    const options chosen =
        parse_options({"--workers", "3", "--window=17", path, "--search", "two words", "--progress"});
    CHECK(chosen.workers == 3u);
    CHECK(chosen.window == 17u);
    CHECK(chosen.search == "two words");
    CHECK(chosen.progress);
    CHECK(chosen.index);
    CHECK(parse_options({"--workers=1023", "--window=65536", path}).window == 65536u);
    CHECK(parse_options({"--help"}).help);
    CHECK(parse_options({"/no/such", "--help"}).help);

    std::ostringstream help;
    print_help(help);
    for (const char* option : {"--workers N", "--window N", "--database FILE", "--search WORDS", "--help"})
        CHECK(help.str().find(option) != std::string::npos);
}

TEST_CASE("a bad argument gets one line that names it") {
    const test_folder folder;
    const std::string path = folder.path().native();
    const std::string file = folder.write("file", "x");
    CHECK(usage_message({"--nonsense"}) == "unknown option '--nonsense', see --help");
    CHECK(usage_message({"-x"}) == "unknown option '-x', see --help");
    CHECK(usage_message({"--progress=1"}) == "unknown option '--progress=1', see --help");
    CHECK(usage_message({path, "--workers"}) == "--workers needs a value");
    for (const std::string_view wrong : {"0", "1024", "-1", "3x", "", " 3", "99999999999999999999999", "1.5"})
        CHECK(usage_message({path, "--workers", wrong}) ==
              "--workers must be a whole number from 1 to 1023, not '" + std::string(wrong) + "'");
    CHECK(usage_message({path, "--window=65537"}) ==
          "--window must be a whole number from 1 to 65536, not '65537'");
    CHECK(usage_message({path, path}) == "only one FOLDER can be indexed, '" + path + "' is one too many");
    CHECK(usage_message({"/no/such"}) == "FOLDER '/no/such' does not exist");
    CHECK(usage_message({""}) == "FOLDER '' does not exist");
    CHECK(usage_message({file}) == "FOLDER '" + file + "' is not a folder");
    CHECK(usage_message({path, "--database", path}) == "--database '" + path + "' is a folder");
    CHECK(usage_message({path, "--database=/no/such/x"}) == "--database: there is no folder '/no/such'");
    CHECK(usage_message({path, "--database="}) == "--database needs a file name");
    CHECK(usage_message({path, "--search", " \t"}) == "--search needs at least one word");
    CHECK(usage_message({path, "--search-only=x"}) == "--search-only indexes nothing, so it takes no FOLDER");
    CHECK(usage_message({"--search-only=x", "--database=" + path + "/no"}) ==
          "--search-only: there is no index '" + path + "/no'");
}

TEST_CASE("a folder is walked in a fixed order, with a marker behind the documents of each directory") {
    const test_folder folder;
    for (const char* name : {"b", "a", "sub/z", "sub/deep/x", "another/y", ".hidden"})
        folder.write(name, "x");
    std::filesystem::create_directory(folder / "empty");
    CHECK(walk(folder) == strings{".hidden", "a", "b", ".=3", "another/y", "another=1", "empty=0", "sub/z",
                                  "sub=1", "sub/deep/x", "sub/deep=1"});
}

TEST_CASE("links to directories are not followed, and other links are documents") {
    const test_folder folder;
    folder.write("sub/x", "x");
    std::filesystem::create_directory_symlink("..", folder / "sub/up");
    std::filesystem::create_directory_symlink(".", folder / "self");
    std::filesystem::create_symlink("sub/x", folder / "good");
    std::filesystem::create_symlink("nowhere", folder / "dangling");
    CHECK(walk(folder) == strings{"dangling", "good", ".=2", "sub/x", "sub=1"});
}

TEST_CASE("the database that is being written is no document of its own folder") {
    const test_folder folder;
    folder.write("index.sqlite", "x");
    folder.write("index.sqlite-wal", "x");
    folder.write("sub/index.sqlite", "another");
    CHECK(walk(folder, folder / "index.sqlite") == strings{".=0", "sub/index.sqlite", "sub=1"});
}

TEST_CASE("a directory that cannot be listed is a document, so that it is counted") {
    const test_folder folder;
    walker gone(folder / "gone", "no database");
    CHECK(std::get<document>(*gone.next()).path == (folder / "gone").native());
    CHECK(std::get<batch_done>(*gone.next()).documents == 1);
    CHECK_FALSE(gone.next());
}

TEST_CASE("a finished batch is in the index, and an unfinished one is not") {
    const test_folder folder;
    const auto file = folder / "index.sqlite";
    {
        index_database index(file);
        index.add(make_document("/a", "fork flow"));
        index.add(failed_document{"/b", "binary_file", "NUL bytes"});
        const batch_counts counts = index.finish_batch({"/", 2});
        CHECK(counts.indexed == 1);
        CHECK(counts.failed == 1);
        index.finish_batch({"/empty", 0});
        index.add(make_document("/c", "fork lost"));
    }
    CHECK(found(file, "fork") == strings{"/a"});
    sqlite::connection index = open_index(file);
    const index_totals all = totals(index);
    CHECK(all.batches == 2);
    CHECK(all.documents.indexed == 1);
    CHECK(all.documents.failed == 1);
    CHECK(all.whole);
    CHECK_FALSE(std::filesystem::exists(folder / "index.sqlite-wal"));
}

TEST_CASE("a batch with a wrong number of documents is rolled back, and the next one is not affected") {
    const test_folder folder;
    {
        index_database index(folder / "index.sqlite");
        reporter reports(false);
        batch_writer writer(index, reports);
        writer.write(make_document("/lost", "word"));
        writer.write(batch_done{"/lost", 2});
        writer.write(make_document("/kept", "word"));
        writer.write(batch_done{"/kept", 1});
        CHECK(writer.totals().errors == 1);
        CHECK(writer.totals().batches == 1);
    }
    CHECK(found(folder / "index.sqlite", "word") == strings{"/kept"});
}

TEST_CASE("rolling back tells what was taken back") {
    const test_folder folder;
    index_database index(folder / "index.sqlite");
    CHECK_FALSE(index.roll_back());
    index.add(make_document("/a", "x"));
    CHECK(index.roll_back()->indexed == 1);
    CHECK(index.finish_batch({"/", 0}).indexed == 0);
}

TEST_CASE("an index that is there is replaced, and anything else is not touched") {
    const test_folder folder;
    const auto file = folder / "index.sqlite";
    for (const char* path : {"/old", "/new"}) {
        index_database index(file);
        index.add(make_document(path, "word"));
        index.finish_batch({"/", 1});
    }
    CHECK(found(file, "word") == strings{"/new"});

    const std::string notes = folder.write(
        "notes", "somebody's notes, longer than the header of a database file: " + std::string(200, '.'));
    CHECK_THROWS_AS(index_database(notes), usage_error);
    CHECK(std::filesystem::file_size(notes) > 200);
    CHECK_THROWS_AS(open_index(notes), usage_error);
    const auto other = folder / "other.sqlite";
    sqlite::connection(other, sqlite::access::read_write_create).execute("CREATE TABLE precious(x)");
    CHECK_THROWS_AS(index_database(other), usage_error);
    CHECK(sqlite::connection(other, sqlite::access::read_only).value("SELECT count(*) FROM precious") == 0);
}

TEST_CASE("two programs cannot write one index at a time") {
    const test_folder folder;
    const index_database index(folder / "index.sqlite");
    sqlite::connection second(folder / "index.sqlite", sqlite::access::read_write_create);
    second.execute("PRAGMA busy_timeout = 0");
    CHECK_THROWS_AS(second.execute("CREATE TABLE x(y)"), sqlite::error);
}

TEST_CASE("paths and texts are stored as they are, even odd ones") {
    const test_folder folder;
    const std::string odd = "/o'dd\" \n\xFF%";
    {
        index_database index(folder / "index.sqlite");
        index.add(make_document(odd, "word"));
        index.add(indexed_document{});
        index.finish_batch({odd, 2});
    }
    CHECK(found(folder / "index.sqlite", "word") == strings{odd});
}

TEST_CASE("the words of a search are words, never syntax") {
    CHECK(search_query("  two\twords ") == "\"two\" \"words\"");
    CHECK(search_query("say \"no\"") == "\"say\" \"\"\"no\"\"\"");
    CHECK(search_query(" \n").empty());
    const test_folder folder;
    const auto file = folder / "index.sqlite";
    {
        index_database index(file);
        index.add(make_document("/a", "fork AND flow, c++ (near) title"));
        index.finish_batch({"/", 1});
    }
    for (const char* words : {"fork AND", "AND", "flow fork", "c++", "\"fork", "fork\"", "(near",
                              "title:", "fork*", "^fork", "flow -", "{fork}", "title : fork"})
        CHECK(found(file, words) == strings{"/a"});
    for (const char* words :
         {"NOT fork OR", "NEAR(fork flow)", "fork missing", "---", "\"\"", "';DROP TABLE batches"})
        CHECK(found(file, words).empty());
}

TEST_CASE("hits are ranked, with the words marked, and a title counts more than the text") {
    const test_folder folder;
    const auto file = folder / "index.sqlite";
    {
        index_database index(file);
        const std::string filler = " and so on and on about something else";
        index.add(make_document("/often", "worker worker worker worker"));
        index.add(make_document("/once", "worker" + filler));
        index.add(make_document("/worker", "worker" + filler));
        index.add(make_document("/never", filler));
        index.finish_batch({"/", 4});
    }
    sqlite::connection index = open_index(file);
    const std::vector<hit> hits = search(index, "WORKER", 10);
    REQUIRE(hits.size() == 3);
    CHECK(hits[0].path == "/often");
    CHECK(hits[1].path == "/worker");
    CHECK(hits[2].path == "/once");
    CHECK(hits[2].snippet.starts_with("[worker] and so"));
    CHECK(hits[0].score < hits[1].score);
    CHECK(search(index, "worker", 2).size() == 2);
}

TEST_CASE("what is printed cannot move the cursor of a terminal") {
    CHECK(printable("a\nb\tc\x1b[2Jd\x7F\u00E4") == "a b c?[2Jd?\u00E4");
}
