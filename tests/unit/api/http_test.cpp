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
        request.server = *core::Endpoint::parse("192.0.2.7:2930");
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

TEST_CASE("other sites may link here, and get nothing for their own pages") {
    const auto configured = *core::Endpoint::parse("127.0.0.1:2931");
    struct Asked {
        const char* site;
        const char* mode;
        const char* dest;
        bool ahead = false;
    };
    const auto status_for = [&configured](const Asked& asked) {
        HttpRequest request;
        request.method = "GET";
        request.headers = {{"host", "127.0.0.1:2931"},
                           {"sec-fetch-site", asked.site},
                           {"sec-fetch-mode", asked.mode},
                           {"sec-fetch-dest", asked.dest}};
        if (asked.ahead) request.headers.emplace_back("sec-purpose", "prefetch");
        const auto refusal = refuse_foreign(request, configured, false);
        return refusal ? refusal->status : 200;
    };
    for (const Asked& taken :
         {Asked{"none", "navigate", "document"}, Asked{"cross-site", "navigate", "document"},
          Asked{"same-site", "no-cors", "image"}, Asked{"same-site", "no-cors", "video"},
          Asked{"same-origin", "cors", "empty"}, Asked{"none", "navigate", "document", true}}) {
        CAPTURE(taken.site);
        CAPTURE(taken.dest);
        CHECK(status_for(taken) == 200);
    }
    for (const Asked& refused :
         {Asked{"cross-site", "no-cors", "image"}, Asked{"cross-site", "no-cors", "video"},
          Asked{"cross-site", "no-cors", "script"}, Asked{"cross-site", "navigate", "iframe"},
          Asked{"cross-site", "navigate", "object"}, Asked{"cross-site", "no-cors", "empty"},
          Asked{"cross-site", "cors", "document"}, Asked{"", "no-cors", "image"},
          Asked{"cross-site", "navigate", "document", true}}) {
        CAPTURE(refused.site);
        CAPTURE(refused.dest);
        CHECK(status_for(refused) == 403);
    }
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
    CHECK(content_disposition("a\\b") == "inline; filename=\"a_b\"; filename*=UTF-8''a_b");
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
