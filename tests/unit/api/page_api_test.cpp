// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/page_api.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <flow29/limits.hpp>

#include "api/event_stream.hpp"
#include "api/fd_channel.hpp"
#include "api/json_results.hpp"
#include "served.hpp"

namespace flow29::api {
namespace {

/// Sends a body with the token; the answer's fields, and its status as "status".
Json send(const Served& served, const std::string& method, const std::string& target,
          const std::string& body = {}) {
    const auto reply = get(
        served.page_at, "/api/v1/" + target,
        served.with_token() + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
        method);
    Json json = Json::parse(reply.body, nullptr, false);
    if (!json.is_object()) json = Json::object();
    json["status"] = reply.status;
    return json;
}

unsigned permissions_of(const std::filesystem::path& path) {
    struct stat facts {};
    REQUIRE_MESSAGE(::stat(path.c_str(), &facts) == 0, path.string());
    return facts.st_mode & 0777U;
}

/// Reads a stream's updates.
class Reader {
  public:
    Reader(Node& node, Jobs& jobs) {
        stream_ = std::make_unique<EventStream>(node, jobs, open_, stop_.get_token());
    }
    Json next() {
        for (;;) {
            const auto bytes = stream_->next();
            REQUIRE(bytes);
            const std::string text(bytes->begin(), bytes->end());
            const auto data = text.find("data: ");
            if (data != std::string::npos) return Json::parse(text.substr(data + 6));
        }
    }

  private:
    std::shared_ptr<std::atomic<unsigned>> open_ = std::make_shared<std::atomic<unsigned>>(1U);
    std::stop_source stop_;
    std::unique_ptr<EventStream> stream_;
};

}  // namespace

TEST_CASE("an uploaded file is published, and then no longer lies there") {
    Served served(Swarm::one_holder);
    const std::string content = noise(1'500'000);
    const auto begun = send(served, "POST", "uploads",
                            R"({"name":"a.bin","bytes":1500000,"tag":"1","directory":false})");
    CHECK(begun["status"] == 200);
    const std::string at = "uploads/" + begun["id"].get<std::string>();
    CHECK(send(served, "PATCH", at + "?offset=0", content.substr(0, 1 << 20))["received_bytes"] ==
          1 << 20);
    const auto wrong = send(served, "PATCH", at + "?offset=0", "x");
    CHECK(wrong["status"] == 409);
    CHECK(wrong["received_bytes"] == 1 << 20);
    CHECK(send(served, "POST", at + "/publish?copies=1")["status"] == 403);
    CHECK(send(served, "PATCH", at + "?offset=" + std::to_string(1 << 20),
               content.substr(1 << 20))["received_bytes"] == 1'500'000);
    CHECK(send(served, "POST", at + "/publish?copies=x")["status"] == 400);
    CHECK(send(served, "POST", at + "/publish?copies=1")["job"] == 1);

    Jobs none(*served.router);
    Reader reader(*served.node, none);
    for (;;) {
        const auto update = reader.next();
        if (!update.contains("objects") || update["objects"]["rows"].empty()) continue;
        const auto object = update["objects"]["rows"][0];
        CHECK(object["name"] == "a.bin");
        CHECK(object["bytes"] == 1'500'000);
        if (object["copies_min"] == 1) break;
    }
    // Its upload goes when the job has ended.
    while (!std::filesystem::is_empty(served.data / "uploads"))
        reader.next();
}

TEST_CASE("an upload whose publication is cancelled does not stay either") {
    Served served;  // alone, so that it waits for others
    const auto begun =
        send(served, "POST", "uploads", R"({"name":"a","bytes":5,"tag":"1","directory":false})");
    const std::string at = "uploads/" + begun["id"].get<std::string>();
    CHECK(send(served, "PATCH", at + "?offset=0", "hello")["received_bytes"] == 5);
    CHECK(send(served, "POST", at + "/publish?copies=1")["job"] == 1);
    Json running;
    while (running.empty())
        running = send(served, "GET", "transfers")["transfers"];
    CHECK_FALSE(std::filesystem::is_empty(served.data / "uploads"));
    const auto id = std::to_string(running[0]["id"].get<std::uint64_t>());
    CHECK(send(served, "POST", "transfers/cancel?id=" + id)["status"] == 200);
    Jobs none(*served.router);
    Reader reader(*served.node, none);
    while (!std::filesystem::is_empty(served.data / "uploads"))
        reader.next();
}

TEST_CASE("an upload that could not be published goes when that is given up") {
    Served served;
    const auto begun =
        send(served, "POST", "uploads", R"({"name":"a","bytes":5,"tag":"1","directory":false})");
    const std::string at = "uploads/" + begun["id"].get<std::string>();
    CHECK(send(served, "PATCH", at + "?offset=0", "hello")["received_bytes"] == 5);
    CHECK(send(served, "POST", at + "/publish?copies=1000")["job"] == 1);
    while (send(served, "POST", "jobs/forget?id=1")["status"] == 403)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    while (!std::filesystem::is_empty(served.data / "uploads"))
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

TEST_CASE("two pages that send the same file publish it once") {
    Served served;  // alone, so that it waits for others
    const std::string offer = R"({"name":"a","bytes":5,"tag":"1","directory":false})";
    const auto begun = send(served, "POST", "uploads", offer);
    const std::string at = "uploads/" + begun["id"].get<std::string>();
    CHECK(send(served, "PATCH", at + "?offset=0", "hel")["received_bytes"] == 3);
    CHECK(send(served, "POST", "uploads", offer)["id"] == begun["id"]);
    CHECK(send(served, "PATCH", at + "?offset=3", "lo")["received_bytes"] == 5);
    CHECK(send(served, "POST", at + "/publish?copies=1")["job"] == 1);
    const auto behind = send(served, "PATCH", at + "?offset=3", "lo");
    CHECK(behind["status"] == 409);
    CHECK(behind["received_bytes"] == 5);
    CHECK(send(served, "PATCH", at + "?offset=5", "")["status"] == 409);
    CHECK(send(served, "POST", at + "/publish?copies=1")["job"] == 1);
    CHECK(send(served, "POST", "jobs/forget?id=2")["status"] == 404);
}

TEST_CASE("slices need the token before they are read, and are bounded") {
    Served served;
    const auto refused =
        get(served.page_at, "/api/v1/uploads/x?offset=0", "Content-Length: 1048576\r\n", "PATCH");
    CHECK(refused.status == 401);
    const auto large = get(served.page_at, "/api/v1/uploads/x?offset=0",
                           served.with_token() + "Content-Length: 1048577\r\n", "PATCH");
    CHECK(large.status == 413);
    CHECK(send(served, "PATCH", "uploads/x?offset=0", "x")["status"] == 404);
    CHECK(send(served, "PATCH", "status", "x")["status"] != 200);
    CHECK(send(served, "POST", "uploads", "[]")["status"] == 400);
    CHECK(send(served, "POST", "uploads", R"({"name":"../x","bytes":1})")["status"] == 400);
    CHECK(send(served, "POST", "uploads", R"({"name":"x","bytes":-1})")["status"] == 400);
}

TEST_CASE("what the page fetches and takes in lies where nobody else looks") {
    Served served(Swarm::one_holder);
    const auto usual = ::umask(0022);
    CHECK(send(served, "POST", "fetch?link=" + served.publish(noise(1'000)))["status"] == 200);
    CHECK(send(served, "POST", "uploads", R"({"name":"x","bytes":1})")["status"] == 200);
    ::umask(usual);
    for (const char* const name : {"fetched", "uploads", "holder"})
        CHECK_MESSAGE(permissions_of(served.data / name) == 0700, name);
}

TEST_CASE("a fetch goes on by itself, and how it ended is told until it is forgotten") {
    Served served;
    CHECK(send(served, "POST", "fetch?link=nonsense")["status"] == 400);
    CHECK(send(served, "POST", "fetch?link=" + nobody_has + "&path=/etc/x")["status"] == 400);
    CHECK(send(served, "POST", "jobs/forget?id=1")["status"] == 404);

    Jobs jobs(*served.router);
    const auto target = (served.data / "got").string();
    const Json params = {{"link", "flow29:" + nobody_has}, {"path", target}, {"name", 5}};
    const auto id = jobs.begin({.kind = "fetch", .name = "x\xff", .params = params.dump()});
    REQUIRE(id);
    Reader reader(*served.node, jobs);
    const auto first = reader.next();
    CHECK(first["version"] == 1);
    CHECK(first["status"]["node"] == to_hex(served.node->id()));
    for (const char* const field : {"peers", "dropped", "transfers", "jobs"})
        CHECK_MESSAGE(first.contains(field), field);
    const auto job = first["jobs"][0];
    CHECK(job["id"] == *id);
    CHECK(job["state"] == "failed");
    CHECK(job["result"]["code"] == "usage");
    CHECK(jobs.forget(*id));
    Json update;
    do
        update = reader.next();
    while (!update.contains("jobs"));
    CHECK(update["jobs"].empty());
    CHECK(update["version"] > 1);
}

TEST_CASE("what the page fetches goes on after a restart, until it is there or given up") {
    Served served(Swarm::one_holder);
    const auto fetching = served.data / "fetching";
    const auto noted = [&] {
        std::vector<std::filesystem::path> files;
        if (std::filesystem::exists(fetching))
            for (const auto& entry : std::filesystem::directory_iterator(fetching))
                files.push_back(entry.path());
        return files;
    };
    const auto wait_noted = [&](std::size_t count) {
        while (noted().size() != count)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    const auto forget = [&](const std::string& id) {
        while (send(served, "POST", "jobs/forget?id=" + id)["status"] == 403)  // it is under way
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    };
    CHECK(send(served, "POST", "fetch?link=" + nobody_has)["job"] == 1);
    wait_noted(1);
    CHECK(permissions_of(noted()[0]) == 0600);
    CHECK(permissions_of(fetching) == 0700);
    // The same once more is the same.
    CHECK(send(served, "POST", "fetch?link=flow29:" + nobody_has)["job"] == 1);

    served.stop();
    CHECK(noted().size() == 1);
    std::ofstream(fetching / "other") << "no link";
    std::filesystem::create_directory(fetching / "directory");
    served.start();
    CHECK(send(served, "POST", "jobs/forget?id=2")["status"] == 404);
    forget("1");
    wait_noted(2);

    // One that went well is known as that, as long as what was fetched is there.
    const auto root = served.publish(noise(1'000));
    CHECK(send(served, "POST", "fetch?link=" + root)["job"] == 2);
    const auto is_noted_as_done = [&] {
        return std::ranges::any_of(noted(), [](const auto& path) {
            std::ifstream file(path);
            std::string link, state;
            return std::getline(file, link) && std::getline(file, state) &&
                   state.starts_with(R"({"event":"done")");
        });
    };
    while (!is_noted_as_done())
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    served.stop();
    served.start();
    CHECK(send(served, "POST", "jobs/forget?id=2")["status"] == 404);
    CHECK(send(served, "POST", "jobs/forget?id=1")["status"] == 200);
    wait_noted(2);
    std::filesystem::remove_all(served.data / "fetched");
    CHECK(send(served, "POST", "fetch?link=" + root)["job"] == 2);
    while (!is_noted_as_done())
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    served.stop();
    std::filesystem::remove_all(served.data / "fetched");
    served.start();
    CHECK(send(served, "POST", "jobs/forget?id=1")["status"] == 404);
    CHECK(noted().size() == 2);
}

TEST_CASE("what is paused when the node stops is noted as that") {
    Served served(Swarm::one_holder);
    CHECK(send(served, "POST", "fetch?link=" + nobody_has)["job"] == 1);
    Json running;
    while (running.empty())
        running = send(served, "GET", "transfers")["transfers"];
    const auto id = std::to_string(running[0]["id"].get<std::uint64_t>());
    CHECK(send(served, "POST", "transfers/pause?id=" + id)["status"] == 200);
    served.stop();
    const std::filesystem::directory_iterator noted(served.data / "fetching");
    std::ifstream file(noted->path());
    std::string link, state;
    REQUIRE((std::getline(file, link) && std::getline(file, state)));
    CHECK(state == "paused");
}

TEST_CASE("what has a name here is fetched under that name") {
    Served served(Swarm::one_holder);
    const auto root = served.publish(noise(1'000));
    const auto target = served.data / "fetched" / root.substr(0, 16) / "given";
    for (const char* const name : {"%3Fname%3Dgiven", ""}) {
        CHECK(send(served, "POST", "fetch?link=flow29:" + root + name)["status"] == 200);
        while (!std::filesystem::remove(target))
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        // It is known by that name a moment later.
        while (send(served, "GET", "ls")["objects"][0]["name"] != "given")
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

TEST_CASE("what others call a file is made a name that can be one here, and looks like it") {
    Served served(Swarm::one_holder);
    const auto root = served.publish(noise(1'000));
    const auto folder = served.data / "fetched" / root.substr(0, 16);
    const std::string long_stem(251, 'a');
    const std::pair<std::string, std::string> names[] = {
        {".dot", "_dot"},
        {"..hidden.txt", "__hidden.txt"},
        {"...", "___"},
        {long_stem + ".txt", long_stem.substr(0, 235) + ".txt"},
    };
    for (const auto& [name, here] : names) {
        CAPTURE(name);
        CHECK(send(served, "POST", "fetch?link=flow29:" + root + "%3Fname%3D" + name)["status"] ==
              200);
        while (!std::filesystem::exists(folder / here))
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

TEST_CASE("changes alone are told, and objects that went by their root") {
    Served served(Swarm::one_holder);
    Jobs jobs(*served.router);
    Reader reader(*served.node, jobs);
    CHECK_FALSE(reader.next().contains("objects"));
    Json update;
    const auto wait_objects = [&] {
        do
            update = reader.next();
        while (!update.contains("objects"));
    };
    wait_objects();
    CHECK(update["objects"] == Json{{"rows", Json::array()}, {"gone", Json::array()}});
    served.publish(noise(3'000));
    wait_objects();
    CHECK_FALSE(update.contains("jobs"));
    const auto row = update["objects"]["rows"][0];
    const auto removed = send(served, "POST", "rm?link=" + row["root"].get<std::string>());
    CHECK(removed["status"] == 200);
    wait_objects();
    // It may stay for a while as what anybody may fetch.
    const auto& objects = update["objects"];
    if (objects["gone"].empty()) CHECK(objects["rows"][0]["published"] == false);
}

TEST_CASE(
    "what is kept of a file is checked at a request from the page, and what that found is told") {
    Served served(Swarm::one_holder);
    const auto root = served.publish(noise(3'000));
    CHECK(send(served, "POST", "verify?link=nonsense")["status"] == 400);
    CHECK(send(served, "POST", "verify?link=" + root + "&path=/etc/x")["status"] == 400);
    CHECK(send(served, "POST", "verify?link=" + root)["job"] == 1);
    Jobs jobs(*served.router);
    const Json params = {{"link", "flow29:" + root}};
    REQUIRE(jobs.begin({.kind = "verify", .params = params.dump()}));
    Reader reader(*served.node, jobs);
    Json job;
    while (job.is_null() || job["state"] == "running") {
        const auto update = reader.next();
        if (update.contains("jobs")) job = update["jobs"][0];
    }
    CHECK(job["state"] == "done");
    CHECK(job["result"]["sound"] == true);
    CHECK(job["result"]["checked_bytes"] == 3'000);
}

TEST_CASE("limits set from the page are in force, and a map names who keeps what") {
    Served served(Swarm::one_holder);
    const auto root = served.publish(noise(2'100'000));
    const auto map =
        Json::parse(get(served.page_at, "/api/v1/map?link=" + root, served.with_token()).body);
    REQUIRE(map["nodes"].size() == 1);
    CHECK(map["nodes"][0] == to_hex(served.holder->id()));
    CHECK(map["parts_total"] == 4);
    REQUIRE(map["parts"].size() == 4);
    for (const auto& part : map["parts"])
        CHECK(part["holders"] == Json::array({0}));
    CHECK(send(served, "POST", "limit?up=1048576")["up"] == 1'048'576);
    CHECK(send(served, "POST", "limit?up=5")["status"] == 400);
    CHECK(send(served, "POST", "limit?up=0")["up"].is_null());
}

TEST_CASE("a slice that is longer than one may be is refused") {
    Served served;
    const auto bytes = limits::upload_slice_bytes_max + 1;
    const Json offer{{"name", "a"}, {"bytes", bytes}};
    const auto begun = send(served, "POST", "uploads", offer.dump());
    const std::string at = "uploads/" + begun["id"].get<std::string>() + "?offset=0";
    CHECK(send(served, "PATCH", at, std::string(bytes, 'x'))["status"] == 413);
    const auto most = send(served, "PATCH", at, std::string(bytes - 1, 'x'));
    CHECK(most["received_bytes"] == limits::upload_slice_bytes_max);
}

TEST_CASE("so many pages are told what happens, one more is not") {
    Served served;
    std::vector<UniqueFd> pages;
    for (unsigned i = 0; i < limits::event_streams_max; ++i) {
        pages.push_back(connect_to(served.page_at));
        const std::string request =
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + served.with_token() + "\r\n";
        REQUIRE(send_all(pages.back().get(), request));
        char first = 0;
        REQUIRE(::recv(pages.back().get(), &first, 1, 0) == 1);
    }
    CHECK(get(served.page_at, "/api/v1/events", served.with_token()).status == 503);
    CHECK(get(served.page_at, "/api/v1/status", served.with_token()).status == 200);
}

TEST_CASE("so many jobs are known, and of those that ended the oldest goes first") {
    Served served;
    Jobs jobs(*served.router);
    const auto begin = [&jobs] { return jobs.begin({.kind = "nonsense", .params = "{}"}); };
    const auto first = begin();
    REQUIRE(first);
    for (std::size_t i = 1; i < limits::jobs_max; ++i)
        REQUIRE(begin());
    CHECK(Json::parse(jobs.list()).size() == limits::jobs_max);
    CHECK(begin().has_value());
    CHECK(Json::parse(jobs.list()).size() == limits::jobs_max);
    CHECK(jobs.forget(*first).error().code == Errc::not_found);
    CHECK(jobs.forget(*first + 1).has_value());
}

TEST_CASE("a line may not be limited to less than keeps the node up") {
    Served served;
    const auto up = [&](std::uint64_t rate) {
        return send(served, "POST", "limit?up=" + std::to_string(rate))["status"];
    };
    CHECK(up(limits::line_rate_min) == 200);
    CHECK(up(limits::line_rate_min - 1) == 400);
}

}  // namespace flow29::api
