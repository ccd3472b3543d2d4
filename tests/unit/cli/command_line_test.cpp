// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/command_line.hpp"

#include <algorithm>

#include <doctest/doctest.h>

namespace flow29::cli {
namespace {

using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

Invocation parsed(const Arguments& arguments) {
    const auto result = parse_command_line(arguments);
    REQUIRE_MESSAGE(result.has_value(), (result ? std::string() : result.error().context));
    REQUIRE(std::holds_alternative<Invocation>(*result));
    return std::get<Invocation>(*result);
}

template <class Options>
Options options_of(const Arguments& arguments) {
    const Invocation invocation = parsed(arguments);
    REQUIRE(std::holds_alternative<Options>(invocation.command));
    return std::get<Options>(invocation.command);
}

std::string error_of(const Arguments& arguments) {
    const auto result = parse_command_line(arguments);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::usage);
    return result.error().context;
}

std::string help_of(const Arguments& arguments) {
    const auto result = parse_command_line(arguments);
    REQUIRE(result);
    REQUIRE(std::holds_alternative<HelpText>(*result));
    return std::get<HelpText>(*result).text;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a node's options are read") {
    const auto node = options_of<NodeOptions>({"node",
                                               "--port",
                                               "0",
                                               "--listen",
                                               "127.0.0.1",
                                               "--listen",
                                               "::1",
                                               "--capacity",
                                               "1GiB",
                                               "--no-store",
                                               "--copies",
                                               "6",
                                               "--grace",
                                               "3s",
                                               "--no-port-mapping",
                                               "--no-discovery",
                                               "--control-group",
                                               "flow29",
                                               "--control-socket",
                                               "/run/ours/socket"});
    CHECK(node.port == 0);
    CHECK(node.listen == Arguments{"127.0.0.1", "::1"});
    CHECK(node.capacity->value == 1U << 30);
    CHECK(node.no_store);
    CHECK(node.no_port_mapping);
    CHECK(node.no_discovery);
    CHECK(node.control_group == "flow29");
    CHECK(node.control_socket == "/run/ours/socket");
    CHECK(node.copies == 6);
    CHECK(node.grace == 3s);
    CHECK_FALSE(options_of<NodeOptions>({"node"}).port);
}

TEST_CASE("global options may stand before and after the command") {
    for (const Arguments& arguments :
         {Arguments{"--json", "--data", "/d", "--bootstrap", "a:1", "-v", "status"},
          Arguments{"status", "--json", "--data", "/d", "--bootstrap", "a:1", "-v"}}) {
        const Invocation invocation = parsed(arguments);
        CHECK(invocation.global.json);
        CHECK(invocation.global.data == "/d");
        CHECK(invocation.global.bootstrap == Arguments{"a:1"});
        CHECK(invocation.global.verbose == 1);
        CHECK(std::get<ListOptions>(invocation.command).what == Listing::status);
    }
    CHECK_FALSE(std::get<ListOptions>(parsed({"ls"}).command).link);
    CHECK(std::get<ListOptions>(parsed({"ls", ""}).command).link == "");
    CHECK_FALSE(options_of<VerifyOptions>({"verify"}).link);
    CHECK(options_of<VerifyOptions>({"verify", ""}).link == "");
    CHECK(std::get<ListOptions>(parsed({"ls", "L"}).command).link == "L");
    CHECK(parsed({"status", "--bootstrap", "a:1", "--bootstrap", "[::1]:2"})
              .global.bootstrap.size() == 2);
    CHECK(parsed({"status", "--progress", "never"}).global.progress == ProgressMode::never);
    CHECK(parsed({"status", "-vv", "-q"}).global.verbose == 2);
}

TEST_CASE("publish takes several paths and standard input") {
    const auto publish = options_of<PublishOptions>(
        {"publish", "a", "-", "b", "--copies", "3", "--wait", "announced", "--extent-chunks", "1",
         "--by-reference", "--times", "--expires", "30d", "--name", "n", "--timeout", "5s"});
    CHECK(publish.paths == Arguments{"a", "-", "b"});
    CHECK(publish.copies == 3);
    CHECK(publish.wait == PublishWait::announced);
    CHECK(publish.extent_chunks == 1);
    CHECK(publish.by_reference);
    CHECK(publish.times);
    CHECK(publish.expires == 24h * 30);
    CHECK(publish.name == "n");
    CHECK(publish.timeout == 5s);
    CHECK(options_of<PublishOptions>({"publish", "--", "--odd-name"}).paths ==
          Arguments{"--odd-name"});
}

TEST_CASE("commands about a link take it as an argument, or leave it to the environment") {
    const auto fetch = options_of<FetchOptions>({"fetch", "LINK", "-o", "out", "--range", "5-9",
                                                 "--overwrite", "--no-share", "--keep-copy"});
    CHECK(fetch.link == "LINK");
    CHECK(fetch.output == "out");
    CHECK(fetch.range == ByteRange{ByteCount(5), ByteCount(10)});
    CHECK(fetch.overwrite);
    CHECK(fetch.no_share);
    CHECK(fetch.keep_copy);
    CHECK(options_of<FetchOptions>({"fetch"}).link.empty());
    CHECK(options_of<CatOptions>({"cat", "-"}).link == "-");
    CHECK(options_of<ObjectOptions>({"unpin", "L"}).action == ObjectAction::unpin);
    CHECK(options_of<ObjectOptions>({"rm", "L"}).action == ObjectAction::withdraw);
    CHECK(options_of<BlockOptions>({"block"}).name.empty());
    CHECK(options_of<BlockOptions>({"block", "N"}).name == "N");
    CHECK(options_of<BlockOptions>({"block", "N"}).blocked);
    CHECK_FALSE(options_of<BlockOptions>({"unblock", "N"}).blocked);
    CHECK_FALSE(options_of<LimitOptions>({"limit"}).repair.has_value());
    CHECK(options_of<LimitOptions>({"limit", "--repair", "5MiB"}).repair == ByteCount(5 << 20));
    CHECK(options_of<LimitOptions>({"limit", "--repair", "off"}).repair == ByteCount(0));
    CHECK(options_of<LimitOptions>({"limit", "--up", "8KiB"}).up == ByteCount(8192));
    CHECK(options_of<LimitOptions>({"limit", "--down", "off"}).down == ByteCount(0));
    CHECK(error_of({"limit", "--up", "8191"}).find("keep in touch") != std::string::npos);
    CHECK(options_of<JoinOptions>({"join", "flow29i:a"}).invite == "flow29i:a");
    CHECK(options_of<JoinOptions>({"join", "--new"}).is_new);
    CHECK(error_of({"join"}).find("needs the word") != std::string::npos);
    CHECK_FALSE(error_of({"join", "flow29i:a", "--new"}).empty());
    CHECK(options_of<ListOptions>({"transfers", "--watch"}).what == Listing::transfers);
    CHECK(options_of<ListOptions>({"transfers", "--watch"}).watch);
    const auto transfer = options_of<TransferOptions>({"transfers", "cancel", "7"});
    CHECK(transfer.action == TransferAction::cancel);
    CHECK(transfer.id == 7);
    for (const char* const id : {"0", "-1", "x"})
        CHECK_FALSE(error_of({"transfers", "pause", id}).empty());
    CHECK_FALSE(error_of({"transfers", "pause"}).empty());
    const auto limited =
        options_of<NodeOptions>({"node", "--up-limit", "1MiB", "--down-limit", "off"});
    CHECK(limited.up_limit == ByteCount(1 << 20));
    CHECK(limited.down_limit == ByteCount(0));
    const auto node = options_of<NodeOptions>(
        {"node", "--quota-publisher", "40%", "--quota-group", "100", "--repair-limit", "1MiB"});
    CHECK(node.quota_publisher == 40U);
    CHECK(node.quota_group == 100U);
    CHECK(node.repair_limit == ByteCount(1 << 20));
    CHECK(options_of<HealthOptions>({"health", "L", "--watch"}).watch);
    CHECK(options_of<LocateOptions>({"locate", "H", "--in", "L"}).in == "L");
    CHECK(options_of<HashOptions>({"hash", "-"}).path == "-");
    CHECK(options_of<CompletionOptions>({"completion", "fish"}).shell == Shell::fish);
}

TEST_CASE("a misspelt command or option is told what was probably meant") {
    CHECK(error_of({"publsh", "file"}) == "there is no command \"publsh\"; did you mean publish?");
    CHECK(error_of({"zebra"}) == "there is no command \"zebra\"; `flow29 --help` lists them");
    CHECK(error_of({"publish", "f", "--copeis", "4"}) ==
          "there is no option --copeis of `flow29 publish`; did you mean --copies?");
    CHECK(error_of({"publish", "--copeis=4"}) ==
          "there is no option --copeis of `flow29 publish`; did you mean --copies?");
    CHECK(error_of({"fetch", "L", "--jsno"}) ==
          "there is no option --jsno of `flow29 fetch`; did you mean --json?");
    CHECK(error_of({"--datta", "x", "status"}).find("did you mean --data?") != std::string::npos);
}

TEST_CASE("names are as long as others can save them") {
    const std::string longest(255, 'n');
    CHECK(options_of<PublishOptions>({"publish", "x", "--name", longest}).name == longest);
    for (const std::string& name : {longest + "n", std::string("a/b"), std::string("..")})
        CHECK(error_of({"publish", "x", "--name", name}).find("--name") != std::string::npos);
    CHECK(options_of<ListOptions>({"peers", "0123abcd"}).node == "0123abcd");
}

TEST_CASE("wrong values and missing arguments are named") {
    CHECK(contains(error_of({}), "a command is missing"));
    CHECK(contains(error_of({"publish"}), "PATH"));
    CHECK(contains(error_of({"publish"}), "`flow29 publish --help` has an example"));
    CHECK(contains(error_of({"node", "--port", "70000"}), "--port: \"70000\" is not a whole"));
    CHECK(contains(error_of({"node", "--capacity", "lots"}), "--capacity: \"lots\" is not a size"));
    CHECK(contains(error_of({"node", "--grace", "5"}), "--grace: \"5\" lacks a unit"));
    CHECK(contains(error_of({"publish", "f", "--copies", "17"}), "from 1 to 16"));
    CHECK(contains(error_of({"publish", "f", "--wait", "later"}), "announced|copies|none"));
    CHECK(contains(error_of({"publish", "f", "--extent-chunks", "3"}), "power of two"));
    CHECK(contains(error_of({"publish", "-", "-"}), "once only"));
    CHECK(contains(error_of({"fetch", "L", "M"}), "does not take the argument \"M\""));
    CHECK(contains(error_of({"status", "--bootstrap", "host"}), "\"host\" is not HOST:PORT"));
    CHECK(contains(error_of({"completion", "tcsh"}), "bash|fish|zsh"));
    CHECK(contains(error_of({"completion"}), "SHELL"));
}

TEST_CASE("every command has help with an example") {
    CHECK(contains(help_of({"--help"}), "publish"));
    for (const CommandSummary& command : describe_commands()) {
        if (command.name.empty()) continue;
        CAPTURE(command.name);
        CHECK_FALSE(command.description.empty());
        const std::string help = help_of({command.name, "--help"});
        CHECK(contains(help, "Example:\n"));
        CHECK(contains(help, "flow29 " + command.name));
    }
    CHECK(contains(help_of({"--version"}), "flow29 "));
}

TEST_CASE("the wish for JSON is seen whatever else is wrong") {
    CHECK(asks_for_json({"publsh", "--json"}));
    CHECK_FALSE(asks_for_json({"publish", "--", "--json"}));
    CHECK_FALSE(asks_for_json({}));
}

TEST_CASE("the summary lists each command's options and fixed values") {
    const auto commands = describe_commands();
    const auto find = [&](std::string_view name) {
        return *std::ranges::find_if(commands, [&](const auto& c) { return c.name == name; });
    };
    CHECK(find("completion").values == Arguments{"bash", "fish", "zsh"});
    CHECK(find("transfers").values == Arguments{"cancel", "pause", "resume"});
    CHECK(find("publish").takes_files);
    const auto options = find("publish").options;
    const auto wait = std::ranges::find_if(
        options, [](const auto& option) { return option.names == Arguments{"--wait"}; });
    REQUIRE(wait != options.end());
    CHECK(wait->takes_value);
    CHECK(wait->values == Arguments{"announced", "copies", "none"});
    const auto flag = std::ranges::find_if(
        options, [](const auto& option) { return option.names == Arguments{"--by-reference"}; });
    REQUIRE(flag != options.end());
    CHECK_FALSE(flag->takes_value);
}

}  // namespace flow29::cli
