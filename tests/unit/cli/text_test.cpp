// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/text.hpp"

#include <doctest/doctest.h>

namespace flow29::cli {

TEST_CASE("the nearest word is the one that was probably meant") {
    const std::vector<std::string> words{"publish", "fetch", "cat", "hash", "health", "status"};
    CHECK(nearest("publsh", words) == "publish");
    CHECK(nearest("ftech", words) == "fetch");
    CHECK(nearest("helth", words) == "health");
    CHECK(nearest("stat", words) == "status");
    CHECK(nearest("cta", words) == "cat");
    CHECK_FALSE(nearest("zebra", words));
    CHECK_FALSE(nearest("x", words));
    CHECK_FALSE(nearest(std::string(1000, 'a'), words));
}

TEST_CASE("shell words are quoted when they must be") {
    CHECK(shell_quote("plain-name_1.txt") == "plain-name_1.txt");
    CHECK(shell_quote("flow29:abc?name=x&size=1") == "'flow29:abc?name=x&size=1'");
    CHECK(shell_quote("it's") == "'it'\\''s'");
    CHECK(shell_quote("") == "''");
    CHECK(shell_quote("~root") == "'~root'");
}

TEST_CASE("of several lines none passes for another message") {
    CHECK(printable_lines("") == "");
    CHECK(printable_lines("one") == "one");
    CHECK(printable_lines("two:\nflow29: \x1b[31ma\n\nb\r") ==
          "two:\n  flow29: \\x1b[31ma\n  \n  b\\x0d");
}

TEST_CASE("a fetched file's name is harmless") {
    Link link;
    CHECK(file_name_for(link) == "aaaaaaaaaaaa");
    link.name = "holiday.mp4";
    CHECK(file_name_for(link) == "holiday.mp4");
    link.name = "../../etc/passwd";
    CHECK(file_name_for(link) == "passwd");
    for (const char* name : {"..", ".", ".bashrc", "a/", "-rf", "a/..", "\n"}) {
        link.name = name;
        CHECK_MESSAGE(file_name_for(link) == "aaaaaaaaaaaa", name);
    }
    link.name = "two\nlines";
    CHECK(file_name_for(link) == "twolines");
    link.name = std::string(300, 'n');
    CHECK(file_name_for(link) == std::string(255, 'n'));
    link.path = "photos/sea.jpg";
    CHECK(file_name_for(link) == "sea.jpg");
}

TEST_CASE("text is measured and cut in cells") {
    CHECK(cells("abc") == 3);
    CHECK(cells("\x1b[1;36mab\x1b[0m█") == 3);
    CHECK(cut_to("abc", 2) == "ab");
    CHECK(cut_to("é✓x", 2) == "é✓");
    CHECK(cut_to("\x1b[1mabc\x1b[0m", 1) == "\x1b[1ma\x1b[0m");
    CHECK(cut_to("abc", 3) == "abc");
}

TEST_CASE("tables are aligned and end no line with blanks") {
    CHECK(table({{"A", "LONG"}, {"bcd", "e"}}) == "A    LONG\nbcd  e\n");
    CHECK(table({}).empty());
}

TEST_CASE("a view fits the screen, with the line of the cursor") {
    CHECK(fitted("ab\nc\n", 2, 3) == "ab\nc\n");
    CHECK(fitted("abc\nc\n", 2, 24) == "ab\nc\n");
    CHECK(fitted("1\n2\n3\n", 80, 3) == "1\n(2 more lines)\n");
    CHECK(fitted("1\n2\n3\n", 3, 1) == "(3 \n");
    CHECK(fitted("", 80, 24).empty());
}

TEST_CASE("lines that are too long go on below, indented") {
    CHECK(folded("reach      no other node has dialled this one\n", 24) ==
          "reach      no other node\n           has dialled\n           this one\n");
    CHECK(folded("short\nshort too\n", 9) == "short\nshort too\n");
    SUBCASE("a row of a table between two columns") {
        CHECK(folded("ROOT           SIZE     NAME\nabcdefabcdefa  1.0 MiB  a b\n", 25) ==
              "ROOT           SIZE\n    NAME\nabcdefabcdefa  1.0 MiB\n    a b\n");
    }
    SUBCASE("a word that is too long stays whole") {
        CHECK(folded("abcdefghijklmnop\n", 8) == "abcdefghijklmnop\n");
        CHECK(folded("a abcdefghijklmnop b", 8) == "a abcdefghijklmnop\n    b");
        CHECK(folded("name       abcdefghijklmnop", 8) == "name       abcdefghijklmnop");
    }
    SUBCASE("cells count and not octets, and the last line needs no end") {
        CHECK(folded("äöü äöü äöü", 11) == "äöü äöü äöü");
        CHECK(folded("äöü äöü äöü", 10) == "äöü äöü\n    äöü");
    }
    SUBCASE("however narrow it is, nothing is lost") {
        for (std::size_t width = 0; width < 20; ++width) {
            auto text = folded("   a  b c    d e  f      g", width);
            std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
            CHECK(text == "abcdefg");
        }
    }
}

}  // namespace flow29::cli
