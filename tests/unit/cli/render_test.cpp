// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/render.hpp"

#include <algorithm>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

const std::string root(52, 'a');
const std::string root_hex(64, '0');

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string published_line(const std::string& rest) {
    return R"({"event":"done","root":")" + root_hex + R"(","link":"flow29:)" + root +
           R"(?name=a%20b&size=8388608","bytes":8388608,"chunks":16384,"extents":8,)" + rest + "}";
}

}  // namespace

TEST_CASE("publish gives the link alone and the command that fetches it") {
    const PublishedText text =
        render_published(published_line(R"("copies":{"min":4,"mean":4.2},"target":4)"), false);
    CHECK(text.link == "flow29:" + root + "?name=a%20b&size=8388608\n");
    CHECK_FALSE(text.degraded);
    CHECK(contains(text.note, "published 8.0 MiB in 8 extents; 4 copies on other nodes"));
    CHECK(
        contains(text.note, "flow29 fetch 'flow29:" + root + "?name=a%20b&size=8388608' -o 'a b'"));
}

TEST_CASE("a degraded publish says how many copies and why") {
    const std::string line = published_line(
        R"("copies":{"min":1,"mean":1},"target":4,"shortfall":"only 1 other node stores",)"
        R"("degraded":true)");
    const PublishedText text = render_published(line, false);
    CHECK(text.degraded);
    CHECK(contains(text.note, "degraded: only 1 of 4 copies: only 1 other node stores; keep this"));
    CHECK(contains(render_published(line, true).note, "publish it again from a running node"));
}

TEST_CASE("health shows a bar for each number of copies") {
    const std::string text = render_health(
        R"({"event":"done","root":"r","bytes":1024,"target":4,"copies":{"min":3,"mean":3.9,)"
        R"("histogram":{"3":1,"4":30}},"groups":3,"at_risk_chunks":2048,)"
        R"("publisher_may_leave":false})");
    CHECK(contains(text, "at least 3, on average 3.9 (wanted: 4)"));
    CHECK(contains(text, "    3 █ 1\n"));
    CHECK(contains(text, "    4 ██████████████████████████████ 30\n"));
    CHECK(contains(text, "2,048 chunks"));
    CHECK(contains(text, "publisher may leave: no"));
}

TEST_CASE("health says how degraded it is and how long that will last") {
    const auto line = [](std::string_view left) {
        return R"({"event":"done","root":"r","target":4,"degraded":true,"copies":{"min":2},)"
               R"("repair":{"missing_bytes":3145728,"in_flight":2,"time_to_target_ms":)" +
               std::string(left) + "}}";
    };
    CHECK(contains(render_health(line("null")), "state      degraded 2 of 4\n"));
    CHECK(contains(render_health(line("null")),
                   "repair     3.0 MiB missing, 2 copies on the way, time left not known yet\n"));
    CHECK(contains(render_health(line("1500")), "2 copies on the way, about 1.5 s left\n"));
}

TEST_CASE("what was fetched says where it came from, and when all of it was here") {
    const auto saved = [](std::string_view fetched, std::string_view holders) {
        return render_fetched(R"({"path":"/tmp/x","bytes":2048,"elapsed_ms":12,"fetched_bytes":)" +
                              std::string(fetched) + R"(,"holders":)" + std::string(holders) + "}");
    };
    CHECK(saved("2048", "3") == "saved /tmp/x (2.0 KiB, verified; all from 3 holders in 12 ms)\n");
    CHECK(saved("512", "1") ==
          "saved /tmp/x (2.0 KiB, verified; 512 B from 1 holder, the rest was here already, in 12 "
          "ms)\n");
    CHECK(saved("0", "0") ==
          "saved /tmp/x (2.0 KiB, verified; all of it was here already, in 12 ms)\n");
    CHECK(render_fetched(R"({"path":"/tmp/d","kind":"directory","files":2,"bytes":0,)"
                         R"("elapsed_ms":12,"fetched_bytes":0,"holders":0})") ==
          "saved /tmp/d (2 files, 0 B, verified; nothing to be fetched, in 12 ms)\n");
}

TEST_CASE("a transfer is shown with its rate and why it is no faster") {
    const auto text = render_transfers(
        R"({"transfers":[{"id":3,"kind":"fetch","path":"/tmp/x","stage":"data","done_bytes":512,)"
        R"("total_bytes":2048,"rate":1024,"eta_ms":2000,"why":"limited by us","holders":)"
        R"([{"node":"00","rate":1024,"bytes":512}]}]})");
    CHECK(text.find("3  fetch /tmp/x\n") == 0);
    CHECK(text.find("data, 25% of 2.0 KiB, 1.0 KiB/s, ETA 2") != std::string::npos);
    CHECK(text.find("; limited by us\n") != std::string::npos);
    CHECK(text.find("512 B so far") != std::string::npos);
    CHECK(text.find("this node") == std::string::npos);
    CHECK(render_transfers(R"({"transfers":[{"id":3,"own_bytes":2048}]})")
              .find("   this node     2.0 KiB that it kept already\n") != std::string::npos);
    CHECK(render_transfers(
              R"({"transfers":[{"id":3,"stage":"copies","done_bytes":512,"total_bytes":2048,)"
              R"("rate":1024,"copies":{"min":0,"target":4}}]})")
              .find("copies, 25%, 0 of 4 copies, 1.0 KiB/s") != std::string::npos);
    CHECK(render_transfers(R"({"transfers":[]})") == "nothing is being transferred\n");
}

TEST_CASE("an invitation is a word alone, and of a private swarm a secret") {
    auto text = render_invitation(R"({"invite":"flow29i:a","addresses":["a:1"],"private":false})");
    CHECK(text.word == "flow29i:a\n");
    CHECK(text.note.find("password") == std::string::npos);
    text = render_invitation(R"({"invite":"flow29i:a","addresses":["a:1"],"private":true})");
    CHECK(text.note.find("like a password") != std::string::npos);
    CHECK(render_joined(R"({"addresses":["a:1"],"private":true,"running":false})")
              .find("next start") != std::string::npos);
    CHECK(render_joined(R"({"addresses":["a:1"],"reached":0,"running":true})")
              .find("0 of 1 address answered; the node keeps trying") != std::string::npos);
}

TEST_CASE("answers without the expected fields do no harm") {
    for (const char* line : {"", "{}", "[]", R"({"peers":5,"objects":{"a":1},"holders":"x"})",
                             R"({"copies":5,"histogram":[]})"}) {
        CAPTURE(line);
        CHECK_FALSE(render_published(line, false).note.empty());
        CHECK_FALSE(render_fetched(line).empty());
        CHECK_FALSE(render_located(line).empty());
        CHECK_FALSE(render_health(line).empty());
        CHECK_FALSE(render_status(line).empty());
        CHECK_FALSE(render_peers(line).empty());
        CHECK_FALSE(render_transfers(line).empty());
        CHECK_FALSE(render_limits(line).empty());
        CHECK_FALSE(render_objects(line).empty());
        CHECK_FALSE(render_withdrawal(line).empty());
    }
}

TEST_CASE("nobody is connected, or nobody of those who were asked for") {
    CHECK(contains(render_peers("{}"), "no peers are connected"));
    CHECK(render_peers("{}", "ab\x1b") == "no peer whose id begins with ab\\x1b is connected\n");
}

TEST_CASE("whoever stores nothing is no holder among the peers") {
    const auto row_of = [](const std::string& storing) {
        const auto text = render_peers(R"({"peers":[{"node":"ab","storing":)" + storing +
                                       R"(,"holds_extents":777}]})");
        return text.substr(text.find('\n'));
    };
    CHECK(contains(row_of("true"), "777"));
    CHECK(contains(row_of("false"), " - "));
    CHECK_FALSE(contains(row_of("false"), "777"));
}

TEST_CASE("more copies than wanted are healthy, and no share of those wanted") {
    const auto state = [](std::string_view copies) {
        return render_health(R"({"target":4,"copies":{"min":)" + std::string(copies) + "}}");
    };
    CHECK(contains(state("4"), "state      healthy 4 of 4"));
    CHECK(contains(state("5"), "state      healthy with 5 copies where 4 are wanted"));
}

TEST_CASE("names from peers cannot drive the terminal") {
    const std::string text =
        render_objects(R"({"objects":[{"root":")" + root_hex + R"(","name":"a\u001b[2Jb\nc"}]})");
    CHECK(contains(text, root));
    CHECK(contains(text, "a\\x1b[2Jb\\x0ac"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
}

TEST_CASE("several inputs give a line each and a summary") {
    CHECK(published_event(R"({"event":"done","root":"r"})", "p") ==
          "{\"event\":\"published\",\"root\":\"r\",\"path\":\"p\"}\n");
    CHECK(failed_event({"p", {Errc::file_error, "gone"}}) ==
          "{\"event\":\"failed\",\"code\":\"file_error\",\"exit\":9,\"message\":\"gone\","
          "\"path\":\"p\"}\n");
    CHECK(
        publish_summary({R"({"event":"done","root":"r"})", R"({"event":"done","root":"s"})"}, {}) ==
        "{\"event\":\"done\",\"objects\":[{\"root\":\"r\"},{\"root\":\"s\"}]}\n");
    CHECK(publish_summary({R"({"event":"done","root":"r"})"}, {{"p", {}}}) ==
          "{\"event\":\"done\",\"objects\":[{\"root\":\"r\"}],\"failed\":1}\n");
}

TEST_CASE("a verification says what was read, found and healed, and whether all is sound") {
    const auto sound = render_verification(
        R"({"sound":true,"checked_bytes":2097152,"checked_extents":2,"checked_objects":1,)"
        R"("damaged_extents":0,"missing_extents":0,"healed_extents":0,"damaged_objects":0})");
    CHECK(sound.sound);
    CHECK(sound.text == "read 2.0 MiB in 2 extents, and 1 descriptor\nall of it is sound\n");
    const auto changed =
        render_verification(R"({"sound":true,"complaints":["x was changed by its user"]})");
    CHECK(contains(changed.text, "x was changed by its user\nthe rest of it is sound\n"));
    CHECK_FALSE(contains(changed.text, "all of it"));
    const auto damaged = render_verification(
        R"({"sound":false,"damaged_extents":2,"missing_extents":1,"healed_extents":2,)"
        R"("damaged_objects":1,"healed_objects":0,"complaints":["extent \u001b is lost"]})");
    CHECK_FALSE(damaged.sound);
    CHECK(contains(damaged.text, "2 extents damaged, 1 missing; 2 healed from others\n"));
    CHECK(contains(damaged.text, "1 descriptor damaged; 0 healed\n"));
    CHECK(contains(damaged.text, "extent \\x1b is lost\n"));
    // A catalogue alone that is damaged is no sound store.
    const auto catalogue = render_verification(R"({"sound":false,"complaints":["catalogue"]})");
    CHECK(contains(catalogue.text, "catalogue\n"));
    CHECK_FALSE(contains(catalogue.text, "all of it is sound"));
}

TEST_CASE("a log's lines stand as they were written, and say where to go on") {
    const auto log =
        render_log(R"({"lines":[{"number":7,"time":"2026-01-02T03:04:05.678Z","level":"warn",)"
                   R"("component":"store","text":"gone"}],"next":7})");
    CHECK(log.text == "2026-01-02T03:04:05.678Z warn  store: gone\n");
    CHECK(log.next == 7);
}

TEST_CASE("blocked roots are shown as links show them, nodes as peers does") {
    const auto text =
        render_blocklist(R"({"nodes":["0123456789abcdef"],"roots":[")" + root_hex + R"("]})");
    CHECK(text == "node  0123456789ab\nroot  " + root + "\n");
}

TEST_CASE("what has expired is not ill") {
    const std::string text = render_health(
        R"({"root":")" + root_hex + R"(","upkeep":"expired","target":0,"copies":{"min":0}})");
    CHECK(contains(text, "state      expired: "));
    CHECK(contains(text, root));
    CHECK_FALSE(contains(text, root_hex));
    CHECK_FALSE(contains(text, "degraded"));
    CHECK_FALSE(contains(text, "healthy"));
    CHECK(contains(render_health(R"({"upkeep":"unknown","copies":{"min":1}})"), "is not known"));
}

TEST_CASE("copies are shown as far as they are known") {
    const auto row = [](std::string_view fields) {
        return render_objects(R"({"objects":[{)" + std::string(fields) + R"(}]})");
    };
    CHECK(contains(row(R"("copies_min":3,"target":4)"), " 3/4 "));
    CHECK(contains(row(R"("copies_min":6,"target":4)"), " 4/4 +2 "));
    CHECK(contains(row(R"("copies_min":null,"target":4)"), " ?/4 "));
    CHECK(contains(row(R"("copies_min":null,"target":0)"), " - "));
    CHECK(contains(row(R"("expired":true,"expires":"2026-01-02T03:04:05Z")"), " expired"));
}

TEST_CASE("status says what is wrong, if anything is") {
    CHECK(contains(render_status(R"({"problem":"no answer from a:1"})"),
                   "problem    no answer from a:1\n"));
    CHECK_FALSE(contains(render_status(R"({"problem":null})"), "problem"));
    CHECK(contains(render_status(R"({"addresses":["127.0.1.1:2929","[::1]:2929"]})"), "no others"));
    CHECK_FALSE(contains(render_status(R"({"addresses":["127.0.1.1:2929","192.0.2.1:2929"]})"),
                         "no others"));
}

TEST_CASE("status says what the node listens on, and where others can dial it") {
    const auto text = render_status(
        R"({"listening":["0.0.0.0:2929","[::]:2929"],"addresses":["[2001:db8::1]:2929"]})");
    CHECK(contains(text, "listening  0.0.0.0:2929, [::]:2929\n"));
    CHECK(contains(text, "addresses  [2001:db8::1]:2929\n"));
    CHECK(contains(render_status(R"({"addresses":[]})"), "addresses  none known"));
}

TEST_CASE("repeated results are marked as updates") {
    CHECK(with_event(R"({"event":"done","n":1})", "update") == "{\"event\":\"update\",\"n\":1}\n");
}

}  // namespace flow29::cli
