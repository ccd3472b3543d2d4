// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/json_results.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace flow29::api {
namespace {

using namespace std::chrono_literals;

const std::string zero_hex(64, '0');
const std::string zero_base32(52, 'a');

}  // namespace

TEST_CASE("a publish result has the documented fields in order") {
    PublishResult result;
    result.link.size = ByteCount(1024);
    result.bytes = ByteCount(1024);
    result.chunks = ChunkCount(2);
    result.extents = 1;
    result.copies = {4, 4.2, {{4, 1}}};
    result.target = 4;
    result.elapsed = 1234ms;
    CHECK(to_line(done_event(to_json(result))) ==
          R"({"event":"done","root":")" + zero_hex + R"(","link":"flow29:)" + zero_base32 +
              R"(?size=1024","bytes":1024,"chunks":2,"extents":1,"copies":{"min":4,"mean":4.2},)"
              R"("target":4,"elapsed_ms":1234})"
              "\n");
    result.shortfall = "only 2 other nodes store";
    CHECK(to_json(result)["shortfall"] == "only 2 other nodes store");
}

TEST_CASE("a fetch result says that it was verified") {
    FetchResult result;
    result.path = "/tmp/out";
    result.bytes = ByteCount(5);
    result.holders = 3;
    result.first_byte = 7ms;
    const Json json = to_json(result);
    CHECK(json["verified"] == true);
    CHECK(json["path"] == "/tmp/out");
    CHECK(json["holders"] == 3);
    CHECK(json["first_byte_ms"] == 7);
    CHECK(json["kind"] == "file");
    CHECK(json["files"] == 1);
}

TEST_CASE("a listing is one line, with a link for what JSON cannot name") {
    Listing listing;
    listing.bytes = ByteCount(8);
    const auto empty = Json::parse(listing_line(listing));
    CHECK(empty["event"] == "done");
    CHECK(empty["entries"].empty());
    listing.entries = {{"a \"b\"", EntryType::executable, ByteCount(5)},
                       {"d", EntryType::empty_directory, ByteCount(0)},
                       {"e\xe9", EntryType::file, ByteCount(3)}};
    const auto line = listing_line(listing);
    CHECK(line.find('\n') == line.size() - 1);
    const auto json = Json::parse(line);
    CHECK(json["bytes"] == 8);
    const auto& entries = json["entries"];
    REQUIRE(entries.size() == 3);
    CHECK(entries[0]["path"] == "a \"b\"");
    CHECK(entries[0]["executable"] == true);
    CHECK_FALSE(entries[0].contains("link"));
    CHECK(entries[1]["kind"] == "directory");
    CHECK(entries[2]["executable"] == false);
    CHECK(Link::parse(entries[2]["link"].get<std::string>())->path == "e\xe9");
}

TEST_CASE("health carries its histogram by number of copies") {
    Health health;
    health.target = 4;
    health.copies = {3, 3.987, {{3, 1}, {4, 7}}};
    health.publisher_may_leave = false;
    const Json json = to_json(health);
    CHECK(json["copies"].dump() == R"({"min":3,"mean":3.99,"histogram":{"3":1,"4":7}})");
    CHECK(json["publisher_may_leave"] == false);
    CHECK(json["degraded"] == true);
    CHECK(json["upkeep"] == "unknown");
    health.upkeep = Upkeep::expired;
    health.target = 0;
    CHECK(to_json(health)["upkeep"] == "expired");
    CHECK(to_json(health)["degraded"] == false);
}

TEST_CASE("health says what is missing, and when it will be there once that is known") {
    Health health;
    health.target = 4;
    health.copies.min = 2;
    health.missing = ByteCount(3 << 20);
    health.coming = 2;
    CHECK(to_json(health)["repair"].dump() ==
          R"({"missing_bytes":3145728,"in_flight":2,"time_to_target_ms":null})");
    health.time_to_target = std::chrono::milliseconds(1500);
    CHECK(to_json(health)["repair"]["time_to_target_ms"] == 1500);
}

TEST_CASE("lists are wrapped in an object, also when they are empty or of one") {
    CHECK(to_json(std::vector<PeerInfo>{}).dump() == R"({"peers":[],"dropped":[]})");
    CHECK(to_json(std::vector<ObjectEntry>{}).dump() == R"({"objects":[]})");
    CHECK(to_json(std::vector<PeerInfo>(1))["peers"].size() == 1);
    PeerInfo gone;
    gone.connected = false;
    gone.banned = true;
    gone.strikes = 3;
    const Json peers = to_json(std::vector<PeerInfo>{gone});
    CHECK(peers["peers"].empty());
    CHECK(peers["dropped"][0]["strikes"] == 3);
    CHECK(peers["dropped"][0]["banned"] == true);
    Located located;
    located.hash = zero_hex;
    located.kind = "root";
    located.holders.push_back({{}, {"192.0.2.1:2929"}, true});
    CHECK(to_json(located)["holders"].dump() ==
          R"([{"node":")" + zero_hex + R"(","addresses":["192.0.2.1:2929"],"source":"record"}])");
    CHECK(to_line(done_event(to_json(std::vector<ObjectEntry>{}))) ==
          "{\"event\":\"done\",\"objects\":[]}\n");
}

TEST_CASE("a transfer says what it is, how far it is and why it is no faster") {
    TransferInfo transfer;
    transfer.id = 3;
    transfer.kind = TransferKind::publish;
    transfer.stage = Stage::copies;
    transfer.copies_target = 4;
    transfer.reason = TransferReason::limited_by_us;
    transfer.why = "limited by us";
    const auto list = to_json(std::vector<TransferInfo>{transfer})["transfers"];
    REQUIRE(list.size() == 1);
    CHECK(list[0]["id"] == 3);
    CHECK(list[0]["kind"] == "publish");
    CHECK(list[0]["root"].is_null());
    CHECK(list[0]["eta_ms"].is_null());
    CHECK(list[0]["reason"] == "limited_by_us");
    CHECK(list[0]["copies"] == Json{{"min", 0}, {"target", 4}});
    CHECK_FALSE(list[0].contains("reason_holder"));
    transfer.kind = TransferKind::fetch;
    transfer.root = RootHash{};
    transfer.copies_target = 0;
    transfer.slowest = NodeId{};
    transfer.eta = 5s;
    transfer.own = ByteCount(7);
    transfer.holders = {{NodeId{}, 1.6, ByteCount(9)}};
    const auto fetch = to_json(std::vector<TransferInfo>{transfer})["transfers"][0];
    CHECK(fetch["root"] == std::string(64, '0'));
    CHECK(fetch["reason_holder"] == std::string(64, '0'));
    CHECK(fetch["eta_ms"] == 5000);
    CHECK(fetch["own_bytes"] == 7);
    CHECK(fetch["holders"][0]["rate"] == 2);
    CHECK(fetch["holders"][0]["bytes"] == 9);
    CHECK_FALSE(fetch.contains("copies"));
    CHECK_FALSE(fetch.contains("map"));
    NodeId stranger;
    stranger.bytes[0] = 1;
    transfer.cells = {
        {ByteCount(100), ByteCount(100), 0, {}},     {ByteCount(100), ByteCount(1), 12, NodeId{}},
        {ByteCount(100), ByteCount(0), 9, stranger}, {ByteCount(100), ByteCount(45), 2, {}},
        {ByteCount(5), ByteCount(1), 1, {}},         {ByteCount(0), ByteCount(0), 1, {}}};
    const auto map = to_json(std::vector<TransferInfo>{transfer})["transfers"][0]["map"];
    CHECK(map == Json{{"done", "09a54."}, {"holders", "099211"}, {"by", "-A----"}});
}

TEST_CASE("a map names every node once, and is thinned out when it is long") {
    ObjectMap map;
    NodeId other;
    other.bytes[0] = 1;
    map.parts.resize(4);
    map.parts[0] = {"r", ByteCount(9), {NodeId{}}, true, 0};
    map.parts[1] = {"e", ByteCount(9), {other, NodeId{}}, false, 2};
    const auto json = to_json(map);
    CHECK(json["nodes"].size() == 2);
    CHECK(json["parts"][0]["holders"] == Json::array({0}));
    CHECK(json["parts"][0]["held_here"] == true);
    CHECK(json["parts"][1]["holders"] == Json::array({1, 0}));
    CHECK(json["parts"][1]["coming"] == 2);
    for (const std::size_t parts : {1U, 513U, 514U, 65'537U}) {
        map.parts.resize(parts);
        const auto thinned = to_json(map);
        CHECK(thinned["parts_total"] == parts);
        CHECK(thinned["parts"].size() <= limits::map_parts_max);
        CHECK(thinned["parts"].size() >= std::min<std::size_t>(parts, 200));
    }
}

TEST_CASE("status groups its numbers as documented") {
    Status status;
    status.repaired = ByteCount(9);
    status.clock_skew = -12ms;
    status.dht_puts = 7;
    status.dht_lookups = 8;
    status.dht_records = 9;
    const Json json = to_json(status);
    for (const char* field : {"node", "version", "uptime_ms", "port", "listening", "dht",
                              "clock_skew_ms", "peers", "storage", "repair", "announce", "traffic"})
        CHECK(json.contains(field));
    CHECK(json["repair"]["bytes_total"] == 9);
    CHECK(json["clock_skew_ms"] == -12);
    CHECK(json["dht"]["puts"] == 7);
    CHECK(json["dht"]["lookups"] == 8);
    CHECK(json["dht"]["records"] == 9);
    CHECK(json["repair"]["limit"].is_null());
    status.repair_limit = ByteCount(5);
    CHECK(to_json(status)["repair"]["limit"] == 5);
    CHECK(json["traffic"]["up_limit"].is_null());
    status.up_limit = ByteCount(7);
    status.down_limit = ByteCount(8);
    CHECK(to_json(status)["traffic"]["up_limit"] == 7);
    CHECK(to_json(status)["traffic"]["down_limit"] == 8);
    CHECK(json["storage"]["disk_left_bytes"].is_null());
    status.disk_left = ByteCount(6);
    CHECK(to_json(status)["storage"]["disk_left_bytes"] == 6);
    CHECK(json["private"] == false);
    CHECK(json["dht"]["foreign_packets"] == 0);
    CHECK(to_json(Invitation{"flow29i:a", {"a:1"}, true}).dump() ==
          R"({"invite":"flow29i:a","addresses":["a:1"],"private":true})");
    CHECK(to_json(RateLimits{}).dump() == R"({"up":null,"down":null,"repair":null})");
    CHECK(to_json(Blocklist{{}, std::vector<RootHash>(1)}).dump() ==
          R"({"nodes":[],"roots":[")" + std::string(64, '0') + R"("]})");
    std::vector<ObjectEntry> objects(1);
    CHECK(to_json(objects)["objects"][0]["expires"].is_null());
    objects[0].expires = std::chrono::system_clock::time_point(1'790'000'000s);
    CHECK(to_json(objects)["objects"][0]["expires"] == "2026-09-21T14:13:20Z");
    CHECK(json["problem"].is_null());
    status.problem = "no answer";
    CHECK(to_json(status)["problem"] == "no answer");
}

TEST_CASE("copies that nobody counts are null, and a private object's link has no name") {
    std::vector<ObjectEntry> objects(1);
    objects[0].name = "diary";
    CHECK(to_json(objects)["objects"][0]["copies_min"].is_null());
    CHECK(
        to_json(objects)["objects"][0]["link"].get<std::string>().ends_with("?name=diary&size=0"));
    objects[0].copies_min = 0;
    objects[0].kind = ObjectKind::encrypted;
    CHECK(to_json(objects)["objects"][0]["copies_min"] == 0);
    CHECK(to_json(objects)["objects"][0]["name"] == "diary");
    CHECK(to_json(objects)["objects"][0]["link"].get<std::string>().ends_with("?size=0"));
}

TEST_CASE("an error line carries its word, exit status and sentence") {
    CHECK(
        error_line({Errc::not_found, "nobody has it"}) ==
        "{\"event\":\"error\",\"code\":\"not_found\",\"exit\":4,\"message\":\"nobody has it\"}\n");
}

TEST_CASE("progress leaves out what means nothing for its stage") {
    Progress progress;
    progress.stage = Stage::looking_up;
    CHECK(progress_event(progress).dump() == R"({"event":"progress","stage":"looking_up"})");
    progress.stage = Stage::data;
    progress.total = ByteCount(10);
    progress.holders = 2;
    CHECK(progress_event(progress).dump() ==
          R"({"event":"progress","stage":"data","done_bytes":0,"total_bytes":10,"holders":2})");
}

TEST_CASE(
    "progress of copies has what was sent in whole bytes, and the time left once it is known") {
    Progress progress;
    progress.stage = Stage::copies;
    progress.done = ByteCount(30);
    progress.total = ByteCount(120);
    progress.sent = ByteCount(40);
    progress.sent_rate = 2.6;
    CHECK(progress_event(progress).dump() ==
          R"({"event":"progress","stage":"copies","done_bytes":30,"total_bytes":120,)"
          R"("sent_bytes":40,"sent_rate":3})");
    progress.eta = std::chrono::milliseconds(1500);
    CHECK(progress_event(progress)["eta_ms"] == 1500);
}

TEST_CASE("a name that is not UTF-8 still gives one line of JSON") {
    const Json json = {{"name", "a\xff\nb"}};
    const std::string line = to_line(json);
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(Json::parse(line)["name"] == "a\xef\xbf\xbd\nb");
}

}  // namespace flow29::api
