// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_server.hpp"

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "api/fd_channel.hpp"
#include "api/http_guard.hpp"
#include "served.hpp"

namespace flow29::api {

TEST_CASE("an address to serve on is a literal with a port, or off") {
    CHECK((*parse_web_address("127.0.0.1:2930"))->to_string() == "127.0.0.1:2930");
    CHECK((*parse_web_address("localhost:0"))->to_string() == "127.0.0.1:0");
    CHECK((*parse_web_address("[::1]:80"))->to_string() == "[::1]:80");
    CHECK_FALSE(parse_web_address("off")->has_value());
    CHECK(parse_web_address("2930").error().code == Errc::usage);
    CHECK(parse_web_address("example.org:80").error().code == Errc::usage);
    CHECK(parse_web_address("").error().code == Errc::usage);
}

TEST_CASE("a Host that could be another site's is refused") {
    const auto configured = *core::Endpoint::parse("192.0.2.1:2930");
    const auto status_for = [&](const std::string& host) {
        HttpRequest request;
        request.method = "GET";
        request.local_address = "192.0.2.7";
        request.headers = {{"host", host}};
        const auto refusal = refuse_foreign(request, configured, false);
        return refusal ? refusal->status : 200;
    };
    for (const char* const host : {"localhost", "LocalHost:2930", "127.0.0.1", "127.0.0.1:1",
                                   "[::1]", "[::1]:2930", "192.0.2.1:2930", "192.0.2.7"})
        CHECK_MESSAGE(status_for(host) == 200, host);
    for (const char* const host :
         {"", "example.org", "localhost.example.org", "127.0.0.1.example.org", "192.0.2.2",
          "127.0.0.1:x", "127.0.0.1:", "[::1", "[2001:db8::1]", "localhost@example.org"})
        CHECK_MESSAGE(status_for(host) == 403, host);
}

TEST_CASE("methods, hosts, origins and tokens are checked before anything is answered") {
    Served served;
    const auto& at = served.page_at;
    const std::string token = served.with_token();
    const std::string own = "Origin: http://" + at.to_string() + "\r\n";
    CHECK(get(at, "/api/v1/status", token).status == 200);
    CHECK(get(at, "/api/v1/status", token + own).status == 200);
    CHECK(get(at, "/api/v1/status", token + "Host: localhost\r\n").status == 200);
    CHECK(get(at, "/api/v1/status", "Authorization: Bearer " + served.server->token() + "\r\n")
              .status == 200);
    CHECK(get(at, "/api/v1/status", token, "HEAD").body.empty());

    CHECK(get(at, "/api/v1/status").status == 401);
    CHECK(get(at, "/api/v1/status", "X-Flow29-Token: wrong\r\n").status == 401);
    CHECK(get(at, "/api/v1/status", token + token).status == 401);
    CHECK(get(at, "/api/v1/status?token=" + served.server->token()).status == 401);
    CHECK(get(at, "/api/v1/status", token + "Host: example.org\r\n").status == 403);
    CHECK(get(at, "/api/v1/status", token + "Host: a\r\nHost: b\r\n").status == 403);
    CHECK(get(at, "/api/v1/status", token + "Origin: http://example.org\r\n").status == 403);
    CHECK(get(at, "/api/v1/status", token + "Origin: null\r\n").status == 403);
    CHECK(raw(at, "GET / HTTP/1.1\r\n\r\n").status == 403);
    for (const char* const method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
        const auto reply = get(at, "/api/v1/status", token, method);
        CHECK_MESSAGE(reply.status == 405, method);
        CHECK(reply.header("allow") == "GET, HEAD");
    }
}

TEST_CASE("what changes something is a POST with the token, and only there is one let through") {
    Served served;
    const auto& at = served.page_at;
    const std::string token = served.with_token();
    const std::string empty = "Content-Length: 0\r\n";
    CHECK(get(at, "/api/v1/transfers", token).status == 200);
    CHECK(get(at, "/api/v1/transfers", token + empty, "POST").status == 405);
    for (const char* const route :
         {"rm", "pin", "unpin", "repair", "fetch", "verify", "join", "jobs/forget", "uploads",
          "uploads/x/publish", "uploads/x/cancel"}) {
        const std::string target = std::string("/api/v1/") + route;
        CHECK_MESSAGE(get(at, target, token).status == 405, route);
        CHECK_MESSAGE(get(at, target, empty, "POST").status == 401, route);
        CHECK_MESSAGE(get(at, target, token + empty + "Origin: null\r\n", "POST").status == 403,
                      route);
        CHECK_MESSAGE(get(at, target, token + empty, "POST").status >= 400, route);
    }
    for (const std::string action : {"pause", "resume", "cancel"}) {
        const std::string target = "/api/v1/transfers/" + action;
        CHECK(get(at, target + "?id=1", token).status == 405);
        CHECK(get(at, target + "?id=1", empty, "POST").status == 401);
        CHECK(get(at, target + "?id=1", token + empty, "POST").status == 404);
        CHECK(get(at, target, token + empty, "POST").status == 400);
        CHECK(get(at, target + "?id=x", token + empty, "POST").status == 400);
        CHECK(get(at, target + "?id=1", token + empty + "Origin: http://example.org\r\n", "POST")
                  .status == 403);
        CHECK(get(at, target + "?id=1", token, "DELETE").status == 405);
    }
    CHECK(get(served.gateway_at, "/api/v1/transfers/pause?id=1", token + empty, "POST").status ==
          405);
}

TEST_CASE("the API answers with the router's JSON and a status that says the same") {
    Served served;
    const auto ask = [&](const std::string& target) {
        auto reply = get(served.page_at, target, served.with_token());
        CHECK(reply.header("content-type") == "application/json");
        return std::pair(reply.status, nlohmann::json::parse(reply.body));
    };
    const auto [status, json] = ask("/api/v1/status");
    CHECK(status == 200);
    CHECK(json["event"] == "done");
    CHECK(json["node"] == to_hex(served.node->id()));
    CHECK(ask("/api/v1/peers").second["peers"] == nlohmann::json::array());
    CHECK(ask("/api/v1/ls").second["objects"] == nlohmann::json::array());
    CHECK(ask("/api/v1/block").second["roots"] == nlohmann::json::array());
    CHECK(ask("/api/v1/limit").second["repair"] == 16 << 20);
    const auto log = ask("/api/v1/log?level=debug&count=1&after=4711").second;
    CHECK(log["lines"] == nlohmann::json::array());
    CHECK(log["next"] == 4711);
    CHECK(ask("/api/v1/log?level=loud").first == 400);
    CHECK(ask("/api/v1/invite").second["invite"].get<std::string>().find("flow29i:") == 0);
    CHECK(ask("/api/v1/block?name=" + nobody_has).first == 400);
    CHECK(ask("/api/v1/limit?repair=5").first == 400);
    CHECK(ask("/api/v1/health").first == 400);
    CHECK(ask("/api/v1/health?link=nonsense").first == 400);
    CHECK(ask("/api/v1/status?x=1").first == 400);
    CHECK(ask("/api/v1/rm?link=" + nobody_has).first == 405);
    CHECK(ask("/api/v1/limit?link=" + nobody_has).first == 400);
    CHECK(ask("/api/v1/map?link=nonsense").first == 400);
    CHECK(ask("/api/v1/publish?path=/etc/hostname").first == 404);
    const auto [missing, error] = ask("/api/v1/health?link=" + nobody_has);
    CHECK(missing >= 400);
    CHECK(error["event"] == "error");
}

TEST_CASE("the page carries the token and nothing from elsewhere") {
    Served served;
    const auto page = get(served.page_at, "/");
    CHECK(page.status == 200);
    CHECK(page.header("content-type") == "text/html; charset=utf-8");
    CHECK(page.header("content-security-policy").find("default-src 'none'") == 0);
    CHECK(page.header("x-content-type-options") == "nosniff");
    CHECK(page.header("cache-control") == "no-store");
    CHECK(page.body.find(served.server->token()) != std::string::npos);
    CHECK(page.body.find(url_of(served.gateway_at)) != std::string::npos);
    CHECK(page.body.find("{{") == std::string::npos);
    CHECK(page.body.find("https://") == std::string::npos);
    CHECK(get(served.page_at, "/index.php").status == 404);
    CHECK(page.body.find("<script>") == std::string::npos);
    CHECK(page.body.find("<style") == std::string::npos);
    const auto policy = page.header("content-security-policy");
    CHECK(policy.find("unsafe") == std::string::npos);
    const auto gateway = url_of(served.gateway_at);
    CHECK(policy.find("img-src data: " + gateway + "; media-src " + gateway + ";") !=
          std::string::npos);
    CHECK(policy.find("connect-src 'self';") != std::string::npos);
    // By the name that the page has, or it would be another site's.
    const auto named = get(served.page_at, "/", "Host: localhost:2930\r\n");
    const auto local = "http://localhost:" + std::to_string(served.gateway_at.port);
    CHECK(named.header("content-security-policy").find("media-src " + local + ";") !=
          std::string::npos);
    CHECK(named.body.find('"' + local + '"') != std::string::npos);
    const auto script = get(served.page_at, "/app.js");
    CHECK(script.header("content-type") == "text/javascript; charset=utf-8");
    CHECK(script.body.find(served.server->token()) == std::string::npos);
    CHECK(get(served.page_at, "/app.css").header("content-type") == "text/css; charset=utf-8");
    CHECK(get(served.page_at, "/app.css", "Content-Length: 0\r\n", "POST").status == 405);

    struct stat info {};
    REQUIRE(::stat((served.data / "web.token").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
    std::string token;
    std::ifstream(served.data / "web.token") >> token;
    CHECK(token == served.server->token());
}

TEST_CASE("metrics are Prometheus text") {
    Served served;
    served.publish(noise(5'000));
    const auto reply = get(served.page_at, "/metrics");
    CHECK(reply.status == 200);
    CHECK(reply.header("content-type").find("text/plain; version=0.0.4") == 0);
    for (const char* const part :
         {"\nflow29_peers 0\n", "# TYPE flow29_traffic_bytes_total counter\n",
          "flow29_traffic_bytes_total{plane=\"dht\",direction=\"up\"} ",
          "\nflow29_dht_operations_total{kind=\"put\"} ",
          "\nflow29_storage_capacity_bytes 67108864\n", "\nflow29_under_target_extents ",
          "\nflow29_published_objects{copies=\"", "\nflow29_dht_connected 0\n"})
        CHECK_MESSAGE(reply.body.find(part) != std::string::npos, part);
}

TEST_CASE("a port that is taken is an error and the other server goes on") {
    Served served;
    HttpServer second(*served.node, *served.router, {served.data / "second.token", ""});
    const auto listening = second.listen(served.page_at);
    REQUIRE_FALSE(listening);
    CHECK(listening.error().code == Errc::other);
    CHECK_FALSE(std::filesystem::exists(served.data / "second.token"));
    CHECK(get(served.page_at, "/").status == 200);
}

TEST_CASE("a name says the type, and is made harmless in a header") {
    CHECK(content_type_of("a.MP4") == "video/mp4");
    CHECK(content_type_of("a.tar.gz") == "application/gzip");
    CHECK(content_type_of("") == "application/octet-stream");
    CHECK(content_type_of("html") == "application/octet-stream");
    CHECK(content_type_of("a.") == "application/octet-stream");
    CHECK(content_disposition("a b.txt") ==
          "inline; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
    CHECK(content_disposition("../../x\"\r\nSet-Cookie: a") ==
          "inline; filename=\"x___Set-Cookie: a\"; filename*=UTF-8''x%22%0D%0ASet-Cookie%3A%20a");
    CHECK(content_disposition("..").empty());
    CHECK(content_disposition("dir/").empty());
}

TEST_CASE("a name is offered whole, and one that is too long is cut between characters") {
    const std::string whole = std::string(251, 'n') + ".txt";
    CHECK(content_disposition(whole) ==
          "inline; filename=\"" + whole + "\"; filename*=UTF-8''" + whole);
    const std::string umlaut = "\xc3\xa4";
    std::string name;
    std::string encoded;
    for (int i = 0; i < 127; ++i) {
        name += umlaut;
        encoded += "%C3%A4";
    }
    const auto ends_in = [](const std::string& text, const std::string& end) {
        return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
    };
    CHECK(ends_in(content_disposition(name + "n"), "''" + encoded + "n"));
    CHECK(ends_in(content_disposition(name + umlaut), "''" + encoded));
    CHECK(ends_in(content_disposition(name + "\xf0\x9f\x98\x80"), "''" + encoded));
    CHECK(ends_in(content_disposition(name + "nn"), "''" + encoded + "n"));
    CHECK(content_disposition(std::string(300, '\x80')).empty());
}

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
    CHECK(whole.header("content-security-policy") == "sandbox");
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
    const auto missing = get(at, "/f/" + nobody_has).status;
    CHECK(get(at, "/f/" + nobody_has, "Range: bytes=0-0,5-5\r\n").status == missing);
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
    const auto missing = ask("", nobody_has).status;
    CHECK(ask("If-None-Match: *\r\n", nobody_has).status == missing);
    CHECK(ask("If-Match: \"x\"\r\n", nobody_has).status == missing);
    CHECK(ask("If-None-Match: \"" + nobody_has + "\"\r\n", nobody_has).status == 304);
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
    CHECK(shown.header("content-security-policy") == "sandbox");
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
        CHECK(whole.header("content-security-policy") == "sandbox");
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

TEST_CASE("what the library refuses by itself has the headers of every answer") {
    const Served served;
    const auto refused = raw(served.gateway_at, "nonsense\r\n\r\n");
    CHECK(refused.status == 400);
    CHECK(refused.header("x-content-type-options") == "nosniff");
    CHECK(refused.header("referrer-policy") == "no-referrer");
    CHECK(refused.body == "the request cannot be read\n");
    const auto long_target = get(served.gateway_at, "/f/" + std::string(9'000, 'a'));
    CHECK(long_target.status == 414);
    CHECK(long_target.header("x-content-type-options") == "nosniff");
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

TEST_CASE("a server that ends does not wait for clients that read nothing") {
    Served served(Swarm::one_holder);
    const std::string root = served.publish(noise(20'000'000));
    const UniqueFd socket = connect_to(served.gateway_at);
    REQUIRE(send_all(socket.get(), "GET /f/" + root + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    char first = 0;
    REQUIRE(::recv(socket.get(), &first, 1, 0) == 1);
    const auto began = std::chrono::steady_clock::now();
    served.gateway.reset();
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

}  // namespace flow29::api
