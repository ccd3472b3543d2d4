// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/gateway_directory.hpp"

#include <flow29/limits.hpp>

#include <doctest/doctest.h>

using namespace flow29;
using namespace flow29::api;

namespace {

bool has(const std::string& page, const std::string& text) {
    return page.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a directory's page shows what stands in it, and links to it") {
    Listing listing;
    const std::string top = "/f/" + to_base32(listing.root);
    listing.entries = {{"a/b/c", EntryType::file, ByteCount(5)},
                       {"a/d", EntryType::file, ByteCount(5'000'000)},
                       {"e", EntryType::empty_directory, ByteCount(0)},
                       {"sp ace?", EntryType::executable, ByteCount(11)}};
    const auto page = directory_page(listing, "");
    CHECK(has(page, "<a href=\"" + top + "/a/\">a/</a></td><td title=\"5000005 B\">4.8 MiB</td>"));
    CHECK(has(page, "<a href=\"" + top + "/e/\">e/</a>"));
    CHECK(has(page,
              "<a href=\"" + top + "/sp%20ace%3F\">sp ace?</a></td><td title=\"11 B\">11 B</td>"));
    CHECK_FALSE(has(page, ".."));
    CHECK_FALSE(has(page, "Nothing is in it."));

    listing.path = "e/";
    listing.entries = {{"e", EntryType::empty_directory, ByteCount(0)}};
    CHECK(has(directory_page(listing, ""), "Nothing is in it."));
    listing.path = "a/b/";
    listing.entries = {{"a/b/c", EntryType::file, ByteCount(5)}};
    const auto inner = directory_page(listing, "");
    CHECK(has(inner, "<a href=\"" + top + "/a/\">..</a>"));
    CHECK(has(inner, "<a href=\"" + top + "/a/b/c\">c</a>"));
    listing.path = "a/";
    CHECK(has(directory_page(listing, ""), "<a href=\"" + top + "/\">..</a>"));
}

TEST_CASE("a directory is called what its link calls it, and where it is unnamed by what it is") {
    Listing listing;
    const std::string root = to_base32(listing.root);
    listing.entries = {{"a/b/c", EntryType::file, ByteCount(5)}};
    const auto unnamed = directory_page(listing, "");
    CHECK(has(unnamed, "<title>Directory</title>"));
    CHECK(has(unnamed, "<h1>Directory</h1>\n<p><small>" + root + "</small></p>"));
    CHECK_FALSE(has(unnamed, "?name="));

    const auto named = directory_page(listing, "my <photos>");
    CHECK(has(named, "<title>my &lt;photos&gt;</title>"));
    CHECK(has(named, "<h1>my &lt;photos&gt;</h1>\n<p><small>" + root + "</small></p>"));
    CHECK(has(named, "<a href=\"/f/" + root + "/a/?name=my%20%3Cphotos%3E\">a/</a>"));
    listing.path = "a/";
    const auto inner = directory_page(listing, "my <photos>");
    CHECK(has(inner, "<title>a/</title>"));
    CHECK(has(inner, "<h1>a/</h1>"));
    CHECK(has(inner, "<a href=\"/f/" + root + "/?name=my%20%3Cphotos%3E\">..</a>"));
    listing.path = "a/b/";
    CHECK(has(directory_page(listing, "x"), "<a href=\"/f/" + root + "/a/?name=x\">..</a>"));
    CHECK(has(directory_page(listing, "x"), "<a href=\"/f/" + root + "/a/b/c\">c</a>"));
}

TEST_CASE("only what can be a file's name is handed on from page to page") {
    const Link link;
    const std::string at = "/f/" + to_base32(link.root) + "/";
    CHECK(directory_url(link, "") == at);
    CHECK(directory_url(link, std::string(255, 'n')) == at + "?name=" + std::string(255, 'n'));
    CHECK(directory_url(link, std::string(256, 'n')) == at);
}

TEST_CASE("a page has so many rows, and says how many more there are") {
    Listing listing;
    const auto rows_of = [](const std::string& page) {
        std::size_t rows = 0;
        for (auto at = page.find("<tr><td>"); at != std::string::npos; ++rows)
            at = page.find("<tr><td>", at + 1);
        return rows;
    };
    for (std::size_t i = 0; i < limits::directory_rows_max; ++i)
        listing.entries.push_back({std::to_string(i), EntryType::file, ByteCount(1)});
    const auto whole = directory_page(listing, "");
    CHECK(rows_of(whole) == limits::directory_rows_max);
    CHECK_FALSE(has(whole, "more;"));
    listing.entries.push_back({"one more", EntryType::file, ByteCount(1)});
    const auto cut = directory_page(listing, "");
    CHECK(rows_of(cut) == limits::directory_rows_max);
    CHECK(has(cut, "<p>and 1 more;"));
}

TEST_CASE("a name cannot put anything into the page") {
    Listing listing;
    listing.entries = {{"<script>alert(1)<!--", EntryType::file, ByteCount(1)},
                       {"\" onclick=\"x", EntryType::file, ByteCount(1)},
                       {"javascript:alert(1)", EntryType::file, ByteCount(1)},
                       {"trip\xe2\x80\xaegpj.exe", EntryType::file, ByteCount(1)}};
    const auto page = directory_page(listing, "");
    CHECK_FALSE(has(page, "<script"));
    CHECK_FALSE(has(page, "\" onclick"));
    CHECK_FALSE(has(page, "href=\"javascript"));
    CHECK(has(page, "&lt;script&gt;alert(1)&lt;!--"));
    CHECK(has(page, ">trip\\xe2\\x80\\xaegpj.exe</a>"));
}
