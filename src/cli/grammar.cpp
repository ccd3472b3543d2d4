// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/grammar.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <flow29/limits.hpp>

#include "cli/quantity.hpp"

namespace flow29::cli {
namespace {

template <class T>
using Parse = Result<T> (*)(std::string_view);

/// An option whose text `parse` turns into a value; its error names the option.
template <class T, class Target>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, Target& target, Parse<T> parse,
                        const std::string& help, const std::string& type) {
    const auto take = [&target, parse, name](const std::string& text) {
        auto value = parse(text);
        if (!value) throw CLI::ValidationError(name, value.error().message());
        target = std::move(*value);
    };
    return app.add_option_function<std::string>(name, take, help)->type_name(type);
}

template <class Target>
CLI::Option* add_number(CLI::App& app, const std::string& name, Target& target, NumberBounds bounds,
                        const std::string& help) {
    const auto take = [&target, bounds, name](const std::string& text) {
        const auto value = parse_number(text, bounds);
        if (!value) throw CLI::ValidationError(name, value.error().message());
        target = static_cast<typename Target::value_type>(*value);
    };
    return app.add_option_function<std::string>(name, take, help)->type_name("N");
}

template <class Value>
using Words = std::map<std::string, Value>;

template <class Value>
CLI::Option* add_word(CLI::App& app, const std::string& name, Value& target, Words<Value> words,
                      const std::string& help) {
    std::string choices;
    for (const auto& [word, value] : words)
        choices += (choices.empty() ? "" : "|") + word;
    const auto take = [&target, words = std::move(words), choices, name](const std::string& text) {
        const auto found = words.find(text);
        if (found == words.end())
            throw CLI::ValidationError(name, fmt::format("\"{}\" is not one of {}", text, choices));
        target = found->second;
    };
    return app.add_option_function<std::string>(name, take, help)->type_name(choices);
}

/// Empty is what a variable is that was not set; no file has that name.
std::string not_empty(const std::string& path) {
    return path.empty() ? "it is empty" : "";
}

Result<std::string> parse_name(std::string_view text) {
    if (text.size() > limits::path_component_bytes_max)
        return fail(Errc::usage, fmt::format("it has {} bytes, and file systems take {}",
                                             text.size(), limits::path_component_bytes_max));
    if (text == "." || text == ".." || text.find('/') != std::string_view::npos)
        return fail(Errc::usage, "it is to be the name of a file: without \"/\"");
    return std::string(text);
}

CLI::Option* add_link(CLI::App& app, std::string& target) {
    return app.add_option("LINK", target,
                          "a link or root hash; - reads it from standard input; without it, "
                          "FLOW29_LINK");
}

/// One without which the command is about everything: what was to be a link and is empty is none.
void add_given_link(CLI::App& app, std::optional<std::string>& target, const std::string& help) {
    app.add_option_function<std::string>(
        "LINK", [&target](const std::string& link) { target = link; }, help);
}

CLI::Option* add_timeout(CLI::App& app, std::optional<std::chrono::milliseconds>& target) {
    return add_parsed(app, "--timeout", target, parse_duration,
                      "give up when nothing moves for this long (60s)", "TIME");
}

}  // namespace

Grammar::~Grammar() = default;

CLI::App& Grammar::add(const std::string& name, const std::string& description,
                       const std::string& example, Chosen take) {
    CLI::App& command = *app_->add_subcommand(name, description);
    command.footer("Example:\n  " + example +
                   "\n\n`flow29 --help` lists the options that all "
                   "commands share.");
    // What is left over is reported by us, with what was probably meant.
    command.allow_extras();
    command.fallthrough();
    commands_.emplace(name, std::move(take));
    return command;
}

Grammar::Grammar()
    : app_(std::make_unique<CLI::App>("29 Flow: a peer-to-peer file store that keeps four copies",
                                      "flow29")) {
    app_->allow_extras();
    app_->set_version_flag("--version", std::string("flow29 ") + FLOW29_VERSION);
    app_->footer(
        "Example:\n  flow29 node &\n  flow29 publish holiday.mp4\n  flow29 fetch "
        "flow29:... -o holiday.mp4\n\n`flow29 COMMAND --help` tells more about each.");
    add_global_options();
    add_node();
    add_publish();
    add_fetch();
    add_cat();
    add_hash_and_locate();
    add_health();
    add_listings();
    add_transfers();
    add_object_actions();
    add_verify();
    add_leave();
    add_block();
    add_limit();
    add_log_web_and_config();
    add_swarm();
    add_version_and_completion();
}

void Grammar::add_global_options() {
    app_->add_option("--data", global_.data,
                     "the node's directory ($XDG_DATA_HOME/flow29; FLOW29_DATA)")
        ->type_name("DIR")
        ->check(not_empty);
    app_->add_option("--config", global_.config,
                     "TOML file ($XDG_CONFIG_HOME/flow29/config.toml; FLOW29_CONFIG)")
        ->type_name("FILE");
    app_->add_option("--bootstrap", global_.bootstrap,
                     "a node of the swarm to join through; repeatable")
        ->type_name("HOST:PORT")
        ->expected(1)
        ->take_all();
    app_->add_option(
            "--swarm-key", global_.swarm_key,
            "the key of the private swarm that the node is in (swarm.key in its directory, "
            "if that is there)")
        ->type_name("FILE");
    app_->add_flag("--json", global_.json, "one JSON object a line on standard output");
    app_->add_flag("-q,--quiet", global_.quiet, "only results and errors");
    app_->add_flag("-v,--verbose", global_.verbose, "say more; twice: still more");
    add_word<ProgressMode>(*app_, "--progress", global_.progress,
                           {{"auto", ProgressMode::automatic},
                            {"always", ProgressMode::always},
                            {"never", ProgressMode::never}},
                           "whether to show progress");
    app_->add_flag("--no-color", global_.no_color, "no colours (NO_COLOR)");
}

void Grammar::add_node() {
    CLI::App& app = add("node", "run a node, in the foreground",
                        "flow29 node --port 2929 --bootstrap 192.0.2.1:2929 --capacity 50GiB",
                        [this] { return Command(node_); });
    add_number(app, "--port", node_.port, {0, 65'535},
               "UDP for the DHT and TCP for transfers; 0 picks one (2929)");
    app.add_option("--listen", node_.listen, "an address to listen on, v4 or v6; repeatable (all)")
        ->type_name("ADDR")
        ->expected(1)
        ->take_all();
    add_parsed(app, "--capacity", node_.capacity, parse_size, "disk space to use (50GiB)", "SIZE");
    app.add_flag("--no-store", node_.no_store, "fetch and publish only; hold nothing for others");
    app.add_flag("--no-port-mapping", node_.no_port_mapping,
                 "do not ask the gateway (NAT-PMP, UPnP) to let other nodes in");
    app.add_flag("--no-discovery", node_.no_discovery,
                 "do not call for other nodes of the swarm on the same LAN");
    add_number(app, "--copies", node_.copies, {1, limits::copies_max},
               "copies wanted of what is published here (4)");
    add_parsed(app, "--grace", node_.grace, parse_duration,
               "how long a holder may be missing before its copies are made again (5m)", "TIME");
    add_parsed(app, "--audit", node_.audit, parse_duration,
               "within this time, who lacks a tenth of what it should keep is found out (1h)",
               "TIME");
    add_parsed(app, "--quota-publisher", node_.quota_publisher, parse_percent,
               "most of the capacity that what one publisher asks to keep may take; 100% is no "
               "bound (50%)",
               "PERCENT");
    add_parsed(app, "--quota-group", node_.quota_group, parse_percent,
               "likewise of what nodes of one address group (/24, /48) asked to keep (75%)",
               "PERCENT");
    add_parsed(app, "--repair-limit", node_.repair_limit, parse_rate,
               "bytes a second for taking in copies that are made again, or off (as `flow29 "
               "limit` set it last; else 16MiB)",
               "SIZE");
    add_parsed(app, "--up-limit", node_.up_limit, parse_line_rate,
               "bytes a second for everything that is sent, the DHT included, or off (as `flow29 "
               "limit` set it last; else off)",
               "SIZE");
    add_parsed(app, "--down-limit", node_.down_limit, parse_line_rate,
               "likewise for everything that is received", "SIZE");
    app.add_option("--web", node_.web, "where to serve the page, or off (127.0.0.1:2930)")
        ->type_name("ADDR:PORT");
    app.add_option("--gateway", node_.gateway,
                   "where to serve objects over HTTP, or off (127.0.0.1:2931)")
        ->type_name("ADDR:PORT");
    app.add_option("--control-group", node_.control_group,
                   "let the users of this group use the node, at --control-socket (nobody else "
                   "does)")
        ->type_name("GROUP");
    app.add_option("--control-socket", node_.control_socket,
                   "where the users of --control-group find the node (/run/flow29/control.sock)")
        ->type_name("FILE");
}

void Grammar::add_publish() {
    CLI::App& app = add("publish", "make files and directories available and spread copies of them",
                        "flow29 publish holiday.mp4 --copies 6\n  tar c notes | flow29 publish - "
                        "--name notes.tar",
                        [this] { return Command(publish_); });
    app.add_option("PATH", publish_.paths, "files and directories; - is standard input")
        ->required();
    add_number(app, "--copies", publish_.copies, {1, limits::copies_max},
               "on at least so many other nodes (4)");
    add_word<PublishWait>(app, "--wait", publish_.wait,
                          {{"copies", PublishWait::copies},
                           {"announced", PublishWait::announced},
                           {"none", PublishWait::none}},
                          "what to wait for before returning (copies)");
    add_number(app, "--extent-chunks", publish_.extent_chunks, {1, 1U << limits::extent_level_max},
               "chunks of 512 bytes per extent, a power of two (automatic)");
    app.add_flag("--by-reference", publish_.by_reference,
                 "keep the file where it is instead of copying it; files only");
    app.add_flag("--private", publish_.is_private,
                 "encrypt it: only who has the whole link can read it, names included");
    app.add_flag("--times", publish_.times,
                 "of a directory, keep when each file was changed, too; that changes its hash");
    add_parsed(app, "--expires", publish_.expires, parse_duration,
               "others keep it for so long and no longer, 1m to 3660d (renewed until `flow29 rm`)",
               "TIME");
    add_parsed(app, "--name", publish_.name, parse_name,
               "the name in the link, up to 255 bytes (the file's)", "NAME");
    app.add_flag("--qr", publish_.qr, "show the link as a QR code, too");
    add_timeout(app, publish_.timeout);
}

void Grammar::add_fetch() {
    CLI::App& app =
        add("fetch",
            "get a file or directory, or LINK/path inside one; an interrupted fetch is resumed",
            "flow29 fetch flow29:... -o holiday.mp4", [this] { return Command(fetch_); });
    add_link(app, fetch_.link);
    app.add_option("-o,--output", fetch_.output, "where to write (the name in the link)")
        ->type_name("PATH")
        ->check(not_empty);
    add_parsed(app, "--range", fetch_.range, parse_range,
               "only bytes A to B, counted from 0, both included; A- goes to the end", "A-B");
    add_timeout(app, fetch_.timeout);
    app.add_flag("--overwrite", fetch_.overwrite,
                 "replace what is there: a file, or all of a directory");
    app.add_flag("--no-share", fetch_.no_share,
                 "do not serve a file to others from where it lies; a directory is never");
    app.add_flag("--keep-copy", fetch_.keep_copy,
                 "serve others from a copy in the node's store, which costs as much disk again; "
                 "the file may then be changed or deleted");
}

void Grammar::add_cat() {
    CLI::App& app = add("cat",
                        "write an object's verified bytes to standard output; with --json, the "
                        "JSON goes to standard error",
                        "flow29 cat flow29:... | mpv -", [this] { return Command(cat_); });
    add_link(app, cat_.link);
    add_parsed(app, "--range", cat_.range, parse_range,
               "only bytes A to B, counted from 0, both included; A- goes to the end", "A-B");
    add_timeout(app, cat_.timeout);
}

void Grammar::add_hash_and_locate() {
    CLI::App& hash = add("hash", "print the root hash of a file or directory, without a network",
                         "flow29 hash holiday.mp4", [this] { return Command(hash_); });
    hash.add_option("PATH", hash_.path, "a file or directory; - is standard input")->required();
    hash.add_flag("--times", hash_.times, "of a directory published with --times");

    CLI::App& locate =
        add("locate", "list who holds a root, an extent or a chunk",
            "flow29 locate 1f3c... --in flow29:...", [this] { return Command(locate_); });
    locate.add_option("HASH", locate_.hash, "52 base32 characters or 64 hexadecimal digits")
        ->required();
    locate.add_option("--in", locate_.in, "the object that a chunk belongs to")->type_name("LINK");
    add_timeout(locate, locate_.timeout);
}

void Grammar::add_health() {
    CLI::App& app =
        add("health", "count an object's copies and say whether its publisher may leave",
            "flow29 health flow29:... --watch", [this] { return Command(health_); });
    add_link(app, health_.link);
    add_timeout(app, health_.timeout);
    app.add_flag("--watch", health_.watch, "ask again and again");
    app.add_flag("--repair", health_.repair, "make missing copies now");
}

void Grammar::add_listings() {
    const auto add_listing = [this](const char* name, const char* description, Listing what) {
        CLI::App& app =
            add(name, description, fmt::format("flow29 {} --watch", name), [this, what] {
                ListOptions options = list_;
                options.what = what;
                return Command(std::move(options));
            });
        app.add_flag("--watch", list_.watch, "ask again and again");
        return &app;
    };
    add_listing("status", "show how this node is", Listing::status);
    add_listing("peers", "list the nodes this one is connected to", Listing::peers)
        ->add_option("NODE", list_.node, "only those whose ids begin so; 8 digits at least");
    CLI::App& ls = *add_listing(
        "ls", "list the objects kept here, or what is in a directory, without fetching its files",
        Listing::objects);
    add_given_link(ls, list_.link,
                   "of a directory or of a path inside it; - reads it from standard input");
    add_timeout(ls, list_.timeout);
}

void Grammar::add_transfers() {
    CLI::App& app =
        add("transfers",
            "list what is being fetched, streamed and published here, and why it is no "
            "faster; or pause, resume or cancel one",
            "flow29 transfers --watch\n  flow29 transfers pause 3", [this] {
                if (!transfer_action_)
                    return Command(ListOptions{Listing::transfers, list_.watch, {}, {}, {}});
                return Command(TransferOptions{*transfer_action_, transfer_id_.value_or(0)});
            });
    auto* const action =
        add_word<std::optional<TransferAction>>(app, "ACTION", transfer_action_,
                                                {{"pause", TransferAction::pause},
                                                 {"resume", TransferAction::resume},
                                                 {"cancel", TransferAction::cancel}},
                                                "what to do with one");
    auto* const id = add_number(app, "ID", transfer_id_, {1, 1ULL << 53}, "as listed");
    auto* const watch = app.add_flag("--watch", list_.watch, "ask again and again");
    action->needs(id);
    id->needs(action);
    watch->excludes(action);
}

void Grammar::add_object_actions() {
    const auto add_action = [this](const char* name, const char* description, ObjectAction action) {
        CLI::App& app =
            add(name, description, fmt::format("flow29 {} flow29:...", name), [this, action] {
                return Command(ObjectOptions{action, object_.link});
            });
        add_link(app, object_.link);
    };
    add_action("pin", "keep an object here", ObjectAction::pin);
    add_action("unpin", "stop keeping an object here", ObjectAction::unpin);
    add_action("rm", "withdraw what this node published, here and at its holders",
               ObjectAction::withdraw);
}

void Grammar::add_verify() {
    CLI::App& app =
        add("verify",
            "read what is kept here, or of one object, against its hashes; what is damaged is "
            "dropped and got again from others",
            "flow29 verify", [this] { return Command(verify_); });
    add_given_link(app, verify_.link,
                   "a link or root hash; - reads it from standard input; without it, everything");
}

void Grammar::add_leave() {
    CLI::App& app = add("leave", "hand over what others keep too few copies of, then stop the node",
                        "flow29 leave", [this] { return Command(leave_); });
    app.add_flag("--force", leave_.force, "stop even when something cannot be handed over");
    add_timeout(app, leave_.timeout);
}

void Grammar::add_block() {
    CLI::App& block =
        add("block",
            "have nothing to do with a node, or neither hold nor serve an object; or list "
            "what is blocked",
            "flow29 block flow29:...", [this] {
                return Command(BlockOptions{block_.name, true});
            });
    block.add_option("NODE|ROOT", block_.name,
                     "a node's id or its beginning, as `flow29 peers` shows it, or a link or root "
                     "hash; without it, the list");
    CLI::App& unblock = add("unblock", "take a node or an object off the list",
                            "flow29 unblock flow29:...", [this] {
                                return Command(BlockOptions{block_.name, false});
                            });
    unblock.add_option("NODE|ROOT", block_.name, "as `flow29 block` lists it")->required();
}

void Grammar::add_limit() {
    CLI::App& app = add("limit", "show or set how much of the network the node may use",
                        "flow29 limit --up 2MiB --down 10MiB --repair 5MiB",
                        [this] { return Command(limit_); });
    add_parsed(app, "--up", limit_.up, parse_line_rate,
               "bytes a second for everything that is sent, the DHT included, or off", "SIZE");
    add_parsed(app, "--down", limit_.down, parse_line_rate,
               "likewise for everything that is received", "SIZE");
    add_parsed(app, "--repair", limit_.repair, parse_rate,
               "bytes a second for taking in copies that are made again, or off", "SIZE");
}

void Grammar::add_log_web_and_config() {
    CLI::App& log = add("log", "print what the node logged last",
                        "flow29 log --follow --level warn", [this] { return Command(log_); });
    log.add_flag("-f,--follow", log_.follow, "go on with what comes");
    add_word<std::string>(
        log, "--level", log_.level,
        {{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}},
        "this and what is more severe (debug)");
    CLI::App& web =
        add("web", "open the node's page", "flow29 web --print", [this] { return Command(web_); });
    web.add_flag("--print", web_.print, "only print where it is");
    CLI::App& config = add("config",
                           "print the settings that a node started now has, and where "
                           "each comes from",
                           "flow29 config", [this] { return Command(config_); });
    config.add_flag("--path", config_.path, "print which file is read, whether it is there or not");
}

void Grammar::add_swarm() {
    add("invite",
        "print a word that brings another node into this one's swarm; of a private swarm it is a "
        "secret",
        "flow29 invite", [] { return Command(InviteOptions{}); });
    CLI::App& app =
        add("join",
            "have the node join the swarm of an invitation, now or when it is started; "
            "or begin a private swarm",
            "flow29 join flow29i:...\n  flow29 join --new", [this] { return Command(join_); });
    auto* const word = app.add_option(
        "INVITE", join_.invite, "what `flow29 invite` prints; - reads it from standard input");
    auto* const begin =
        app.add_flag("--new", join_.is_new, "make the key of a new private swarm; no INVITE");
    begin->excludes(word);
}

void Grammar::add_version_and_completion() {
    add("version", "print the version", "flow29 version", [] { return Command(VersionOptions{}); });
    CLI::App& app =
        add("completion", "print a script that completes commands in a shell",
            "source <(flow29 completion bash)", [this] { return Command(completion_); });
    add_word<Shell>(app, "SHELL", completion_.shell,
                    {{"bash", Shell::bash}, {"zsh", Shell::zsh}, {"fish", Shell::fish}},
                    "the shell")
        ->required();
    add("manual", "print the manual's page in the form that scdoc makes a man page of",
        "flow29 manual | scdoc > flow29.1", [] { return Command(ManualOptions{}); });
}

}  // namespace flow29::cli
