// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/gateway.hpp"

#include <doctest/doctest.h>

#include <future>
#include <string>
#include <vector>

#include "api/fd_channel.hpp"
#include "served.hpp"

namespace flow29::api {

TEST_CASE("the gateway serves wholes, ranges and heads") {
    Served served(Swarm::one_holder);
    const std::string content = noise(3'000'001);
    const std::string root = served.publish(content);
    const std::string target = "/f/" + root + "?name=clip.mp4";
    const auto& at = served.gateway_at;

    const auto whole = get(at, target);
    CHECK(whole.status == 200);
    CHECK(whole.body == content);
    CHECK(whole.header("etag") == "\"" + root + "\"");
    CHECK(whole.header("content-type") == "video/mp4");
    CHECK(whole.header("content-security-policy").starts_with("sandbox allow-same-origin "));
    CHECK(whole.header("x-content-type-options") == "nosniff");
    CHECK(whole.header("content-length") == "3000001");

    const auto head = get(at, target, "", "HEAD");
    CHECK(head.status == 200);
    CHECK(head.header("content-length") == "3000001");
    CHECK(head.body.empty());

    const auto part_of = [&](const std::string& range) {
        return get(at, target, "Range: bytes=" + range + "\r\n");
    };
    const auto part = part_of("511-1048600");
    CHECK(part.status == 206);
    CHECK(part.header("content-range") == "bytes 511-1048600/3000001");
    CHECK(part.body == content.substr(511, 1'048'600 - 511 + 1));
    CHECK(part_of("0-0").body == content.substr(0, 1));
    CHECK(part_of("3000000-").body == content.substr(3'000'000));
    CHECK(part_of("2999990-9999999").header("content-range") == "bytes 2999990-3000000/3000001");
    CHECK(part_of("-10").body == content.substr(content.size() - 10));
    CHECK(part_of("-9999999").body == content);
    for (const char* const outside : {"3000001-", "3000001-3000005", "-0"}) {
        const auto refused = part_of(outside);
        CHECK_MESSAGE(refused.status == 416, outside);
        CHECK(refused.header("content-range") == "bytes */3000001");
    }

    CHECK(get(at, target, "If-None-Match: \"x\"\r\n").status == 200);
    const std::string one = "Range: bytes=0-0\r\n";
    CHECK(get(at, target, one + "If-Range: \"" + root + "\"\r\n").status == 206);
    CHECK(get(at, target, one + "If-Range: \"x\"\r\n").status == 200);
    CHECK(get(at, target, "Host: example.org\r\n").status == 403);
    CHECK(get(at, target, "", "POST").status == 405);
}

TEST_CASE("several ranges are parts of one answer, in the order asked") {
    Served served(Swarm::one_holder);
    const std::string content = noise(1'200'001);
    const std::string root = served.publish(content);
    const std::string target = "/f/" + root + "?name=clip.mp4";
    const auto& at = served.gateway_at;
    const auto ask = [&](const std::string& range, const std::string& headers = {},
                         const std::string& method = "GET") {
        return get(at, target, "Range: bytes=" + range + "\r\n" + headers, method);
    };
    const auto part = [](const std::string& range, const std::string& bytes) {
        return "Content-Type: video/mp4\r\nContent-Range: bytes " + range + "/1200001\r\n\r\n" +
               bytes + "\r\n--";
    };
    /// What the parts must be, with this boundary.
    const auto joined = [](const std::string& boundary, const std::vector<std::string>& parts) {
        std::string body = "--";
        for (const std::string& one : parts)
            body += boundary + "\r\n" + one;
        return body + boundary + "--\r\n";
    };
    const std::string type = "multipart/byteranges; boundary=";

    const auto reply = ask("1000000-,2000000-,5-5, 100-700099");
    CHECK(reply.status == 206);
    REQUIRE(reply.header("content-type").starts_with(type));
    const auto boundary = reply.header("content-type").substr(type.size());
    CHECK(boundary.size() == 32);
    CHECK(reply.body == joined(boundary, {part("1000000-1200000", content.substr(1'000'000)),
                                          part("5-5", content.substr(5, 1)),
                                          part("100-700099", content.substr(100, 700'000))}));
    CHECK(reply.header("content-length") == std::to_string(reply.body.size()));
    CHECK(reply.header("content-range").empty());
    CHECK(reply.header("etag") == "\"" + root + "\"");
    CHECK(reply.header("x-content-type-options") == "nosniff");
    CHECK(ask("0-0,-1").header("content-type") != ask("0-0,-1").header("content-type"));

    const auto one_left = ask("5-6,1200001-");
    CHECK(one_left.status == 206);
    CHECK(one_left.header("content-type") == "video/mp4");
    CHECK(one_left.header("content-range") == "bytes 5-6/1200001");
    CHECK(one_left.body == content.substr(5, 2));
    const auto none_left = ask("1200001-,-0,2000000-2000001");
    CHECK(none_left.status == 416);
    CHECK(none_left.header("content-range") == "bytes */1200001");

    for (const char* const range : {"0-5,5-9", "-5,1200000-", "0-,7-7", "0-0,1-1,0-0"}) {
        const auto whole = ask(range);
        CHECK_MESSAGE(whole.status == 200, range);
        CHECK(whole.body == content);
    }
    std::string many = "0-0";
    for (std::size_t i = 1; i < http_ranges_max; ++i) {
        const auto at_byte = std::to_string(2 * i);
        many.append(",").append(at_byte).append("-").append(at_byte);
    }
    CHECK(ask(many).header("content-type").starts_with(type));
    CHECK(ask(many + ",1000-1000").status == 200);

    CHECK(ask("0-0,5-5", "If-Range: \"" + root + "\"\r\n").status == 206);
    CHECK(ask("0-0,5-5", "If-Range: \"x\"\r\n").status == 200);
    const auto head = ask("0-0,5-5", {}, "HEAD");
    CHECK(head.status == 200);
    CHECK(head.header("content-length") == "1200001");
    CHECK(head.header("content-type") == "video/mp4");
}

TEST_CASE("a client that stops reading within parts holds up nobody else") {
    Served served(Swarm::one_holder);
    const std::string content = noise(20'000'000);
    const std::string target = "/f/" + served.publish(content);
    const UniqueFd socket = connect_to(served.gateway_at);
    REQUIRE(send_all(socket.get(), "GET " + target +
                                       " HTTP/1.1\r\nHost: localhost\r\n"
                                       "Range: bytes=10-9999999,10000000-19999999\r\n\r\n"));
    char first = 0;
    REQUIRE(::recv(socket.get(), &first, 1, 0) == 1);
    CHECK(get(served.gateway_at, target, "Range: bytes=0-9,-1\r\n").status == 206);
    CHECK(get(served.gateway_at, target).body == content);
}

TEST_CASE("an answer depends on what the client has") {
    Served served(Swarm::one_holder);
    const std::string root = served.publish(noise(3'000));
    const std::string tag = "\"" + root + "\"\r\n";
    const auto ask = [&](const std::string& headers, const std::string& of) {
        return get(served.gateway_at, "/f/" + of, headers);
    };
    for (const auto& header : {"If-None-Match: " + tag, "If-None-Match: \"x\", W/" + tag,
                               std::string("If-None-Match: *\r\n")}) {
        const auto same = ask(header, root);
        CHECK_MESSAGE(same.status == 304, header);
        CHECK(same.body.empty());
        CHECK(same.header("content-length").empty());
        CHECK(same.header("etag") == "\"" + root + "\"");
        CHECK_FALSE(same.header("cache-control").empty());
        CHECK(same.header("vary") == "Origin");
    }
    CHECK(ask("If-None-Match: *\r\nRange: bytes=0-0\r\n", root).status == 304);
    CHECK(ask("If-Match: " + tag, root).status == 200);
    CHECK(ask("If-Match: *\r\n", root).status == 200);
    CHECK(ask("If-Match: " + tag + "Range: bytes=0-0\r\n", root).status == 206);
    const auto other = ask("If-Match: \"x\"\r\n", root);
    CHECK(other.status == 412);
    CHECK(other.header("etag").empty());
    CHECK(ask("If-None-Match: \"" + nobody_has + "\"\r\n", nobody_has).status == 304);
}

TEST_CASE("what nobody has is missing, whatever the client has or wants of it") {
    Served served(Swarm::one_holder);
    // Side by side, since each looks for a while.
    std::vector<std::future<int>> answers;
    for (const char* const headers :
         {"", "Range: bytes=0-0,5-5\r\n", "If-None-Match: *\r\n", "If-Match: \"x\"\r\n"})
        answers.push_back(std::async(std::launch::async, [&served, headers] {
            return get(served.gateway_at, "/f/" + nobody_has, headers).status;
        }));
    const int missing = answers.front().get();
    CHECK_MESSAGE((missing == 404 || missing == 503), missing);
    for (std::size_t i = 1; i < answers.size(); ++i)
        CHECK(answers[i].get() == missing);
}

TEST_CASE("a directory has a page with a tag, and a file is not listed wherever it lies") {
    Served served(Swarm::one_holder);
    const auto album = served.data / "album";
    std::filesystem::create_directories(album / "sub");
    std::ofstream(album / "run.sh") << "echo\n";
    std::ofstream(album / "sub" / "x,y") << "x";
    const std::string root = served.publish_at(album);
    const auto& at = served.gateway_at;
    const auto page = get(at, "/f/" + root + "/");
    REQUIRE(page.status == 200);
    CHECK(page.body.find("<h1>Directory</h1>") != std::string::npos);
    const auto tag = page.header("etag");
    REQUIRE(tag.size() > 2);
    const std::string mine = "If-None-Match: " + tag + "\r\n";
    const auto same = get(at, "/f/" + root + "/", mine);
    CHECK(same.status == 304);
    CHECK(same.body.empty());
    CHECK(same.header("etag") == tag);
    CHECK(same.header("vary") == "Accept");
    CHECK(same.header("content-length").empty());
    CHECK(get(at, "/f/" + root + "/", "If-None-Match: *\r\n").status == 304);
    CHECK(get(at, "/f/" + root + "/", "If-Match: " + tag + "\r\n").status == 200);
    CHECK(get(at, "/f/" + root + "/", "If-Match: \"x\"\r\n").status == 412);
    // Each is another page.
    const std::string json = "Accept: application/json\r\n";
    CHECK(get(at, "/f/" + root + "/", mine + json).status == 200);
    CHECK(get(at, "/f/" + root + "/", json).header("etag") != tag);
    CHECK(get(at, "/f/" + root + "/?name=photos", mine).status == 200);
    CHECK(get(at, "/f/" + root + "/sub/", mine).status == 200);

    const auto moved = get(at, "/f/" + root + "?name=my%20photos");
    CHECK(moved.status == 301);
    CHECK(moved.header("accept-ranges") == "none");
    CHECK(moved.header("location") == "/f/" + root + "/?name=my%20photos");
    const auto named = get(at, moved.header("location"));
    CHECK(named.body.find("<h1>my photos</h1>") != std::string::npos);
    CHECK(get(at, "/f/" + root + "/sub?name=x").header("location") == "/f/" + root + "/sub/");
    CHECK(get(at, "/f/" + root + "/", "Range: bytes=0-1\r\n").status == 200);
    // A name with what is encoded in an address.
    const auto comma = get(at, "/f/" + root + "/sub/x,y");
    CHECK(comma.header("etag") != get(at, "/f/" + root + "/run.sh").header("etag"));
    CHECK(get(at, "/f/" + root + "/sub/x,y", "If-None-Match: " + comma.header("etag") + "\r\n")
              .status == 304);
    const auto nested = get(at, "/f/" + root + "/sub//");
    CHECK(nested.body.find(">x,y</a>") != std::string::npos);
    CHECK(get(at, "/f/" + root + "//").body.find(">run.sh</a>") != std::string::npos);

    const std::string file = served.publish("no directory");
    const auto first = get(at, "/f/" + file + "/");
    CHECK(first.status == 404);
    const auto second = get(at, "/f/" + root + "/run.sh/");
    CHECK(second.status == 404);
    CHECK(second.body == first.body);
    CHECK(get(at, "/f/" + root + "/sub/nope/").status == 404);
    CHECK(get(at, "/f/" + root + "/sub/nope/").body != first.body);
}

TEST_CASE("the gateway lets its own page show a file, and no other site") {
    Served served(Swarm::one_holder);
    const std::string target = "/f/" + served.publish(noise(2'000)) + "?name=photo.png";
    const auto ask = [&](const std::string& origin) {
        return get(served.gateway_at, target, "Origin: " + origin + "\r\n");
    };
    CHECK(ask("http://127.0.0.1:4711").status == 403);
    served.gateway->let_in_page(4711);
    const auto shown = ask("http://127.0.0.1:4711");
    CHECK(shown.status == 200);
    CHECK(shown.header("access-control-allow-origin") == "http://127.0.0.1:4711");
    CHECK(shown.header("vary") == "Origin");
    CHECK(shown.header("content-security-policy").starts_with("sandbox allow-same-origin "));
    for (const char* const other :
         {"null", "http://example.org:4711", "http://localhost:4711", "http://127.0.0.1:4712",
          "https://127.0.0.1:4711", "http://127.0.0.1"})
        CHECK_MESSAGE(ask(other).status == 403, other);
    const auto direct = get(served.gateway_at, target);
    CHECK(direct.header("access-control-allow-origin").empty());
    CHECK(direct.header("cross-origin-resource-policy") == "same-site");
    CHECK(get(served.gateway_at, target, "Origin: http://127.0.0.1:4711\r\n", "POST").status ==
          405);
}

TEST_CASE("a Range that cannot be read is as if it were not there") {
    Served served(Swarm::one_holder);
    const std::string content = noise(10'000);
    const std::string target = "/f/" + served.publish(content);
    const auto& at = served.gateway_at;
    std::string long_range = "bytes=0-0";
    while (long_range.size() < 8'000)
        long_range += ",0-0";
    for (const std::string& range :
         {std::string("chunks=1-2"), std::string("bytes=abc"), std::string("bytes=5-2"),
          std::string("bytes=-"), std::string("bytes=1-2,x"), std::string("bytes="),
          "bytes=" + std::string(8'000, '1'), long_range}) {
        const auto whole = get(at, target, "Range: " + range + "\r\n");
        CHECK_MESSAGE(whole.status == 200, range);
        CHECK(whole.body == content);
        CHECK(whole.header("content-length") == "10000");
        CHECK(whole.header("x-content-type-options") == "nosniff");
        CHECK(whole.header("content-security-policy").starts_with("sandbox allow-same-origin "));
        CHECK(get(at, target, "Range: " + range + "\r\n", "HEAD").status == 200);
    }
    const std::string large = std::string(30, '9') + "\r\n";
    const auto all = get(at, target, "Range: bytes=0-" + large);
    CHECK(all.status == 206);
    CHECK(all.header("content-range") == "bytes 0-9999/10000");
    CHECK(all.body == content);
    CHECK(get(at, target, "Range: bytes=-" + large).body == content);
    const auto outside = get(at, target, "Range: bytes=" + std::string(30, '9') + "-\r\n");
    CHECK(outside.status == 416);
    CHECK(outside.header("content-range") == "bytes */10000");

    const std::string unread = "Range: chunks=1-2\r\n";
    CHECK(get(at, target, unread + "Host: example.org\r\n").status == 403);
    CHECK(get(at, "/f/nonsense", unread).status == 400);
    CHECK(get(served.page_at, "/", unread).status == 200);
    CHECK(get(served.page_at, "/api/v1/status", unread).status == 401);
    const std::string body = served.with_token() + "Content-Length: 2\r\n\r\n{}";
    CHECK(get(served.page_at, "/api/v1/uploads", unread + body, "POST").status == 400);
}

TEST_CASE("the gateway serves an empty object and knows no range in it") {
    Served served(Swarm::one_holder);
    const std::string root = served.publish("");
    const auto whole = get(served.gateway_at, "/f/" + root);
    CHECK(whole.status == 200);
    CHECK(whole.body.empty());
    CHECK(whole.header("content-length") == "0");
    CHECK(get(served.gateway_at, "/f/" + root, "Range: bytes=0-\r\n").status == 416);
    CHECK(get(served.gateway_at, "/f/" + root, "Range: bytes=-1\r\n").status == 416);
}

TEST_CASE("the gateway says what is malformed or missing") {
    const Served served;
    const auto status = [&](const std::string& target) {
        return get(served.gateway_at, target).status;
    };
    CHECK(status("/") == 404);
    CHECK(status("/api/v1/status") == 404);
    CHECK(status("/f/") == 400);
    CHECK(status("/f/short") == 400);
    CHECK(status("/f/" + std::string(52, '1')) == 400);
    CHECK(status("/f/flow29:" + nobody_has) == 400);
    CHECK(status("/f/" + nobody_has + "%3Fat=127.0.0.1:1") == 400);
    const int missing = status("/f/" + nobody_has);
    CHECK(status("/f/" + nobody_has + "/path") == missing);
    CHECK(status("/f/" + nobody_has + "/") == missing);
    CHECK_MESSAGE((missing == 404 || missing == 503), missing);
}

}  // namespace flow29::api
