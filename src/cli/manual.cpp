// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/manual.hpp"

#include <fmt/format.h>

#include <string_view>

namespace flow29::cli {
namespace {

constexpr std::string_view begin = R"(flow29(1) "29 Flow"

# NAME

flow29 - a peer-to-peer file store that keeps four copies

# SYNOPSIS

*flow29* [_options_] _command_ [_arguments_]

# DESCRIPTION

A file or directory that is published gets a link, computed from its content. It is kept on at least four
nodes other than the one that published it, so that one may leave; whoever has the link can fetch it from
any of them. Every 512 bytes are checked against the link before they are written.

*flow29 node* is the daemon. The other commands ask the one that runs on the same data directory;
*publish*, *fetch*, *cat*, *hash*, *locate*, *health* and *ls LINK* also work without one.

# LINKS

	flow29:_ROOT_[/_PATH_][?name=_NAME_&size=_N_][#k=_KEY_]

_ROOT_ is 52 characters of base32, or 64 hexadecimal digits. _PATH_ names a file or directory inside a
published directory and goes before the "?". It is percent-encoded, as in any URI (RFC 3986): a blank is
%20, "%" is %25, "?" is %3F and "#" is %23; "/" stays, letters outside ASCII may stand as they are. What is printed is
encoded already. Quote links in a shell: "?", "&" and "#" mean something there.

# OPTIONS

These go with every command.

)";

constexpr std::string_view end = R"(# EXIT STATUS

0 all is well; 1 anything else; 2 wrong usage; 3 no node is running; 4 not found; 5 timed out; 6 failed
verification; 7 no network; 8 no room; 9 file error; 10 it exists already; 11 refused; 12 partly done, for
instance fewer copies than asked; 130 interrupted.

# ENVIRONMENT

*FLOW29_DATA*
	The node's directory, as *--data*.

*FLOW29_CONFIG*
	The settings' file, as *--config*.

*FLOW29_SOCKET*
	Where a node is that is shared with this user (*--control-group*), _/run/flow29/control.sock_ unless said
	otherwise. It is asked when the user's own does not run and no data directory is named.

*FLOW29_LINK*
	The link, where a command needs one and none is given: an argument is visible to other users.

*NO_COLOR*
	No colours.

# FILES

_$XDG_CONFIG_HOME/flow29/config.toml_
	Settings. Keys are the long options of *flow29 node* without the dashes, *data* and *bootstrap*.

_$XDG_DATA_HOME/flow29_
	The node's directory: its key, what it keeps, its control socket.
)";

/// What scdoc would take for formatting is shown as it is.
std::string plain(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '_' || c == '*' || c == '\\' || c == '~' || c == '<' || c == '>') out += '\\';
        out += c;
    }
    return out;
}

std::string option_text(const OptionSummary& option) {
    std::string names;
    for (const std::string& name : option.names)
        names += (names.empty() ? "*" : ", *") + plain(name) + "*";
    if (!option.value_name.empty()) names += " _" + plain(option.value_name) + "_";
    return fmt::format("{}\n\t{}\n\n", names, plain(option.description));
}

std::string command_text(const CommandSummary& command) {
    std::string out =
        fmt::format("## {}\n\n{}.\n\n", plain(command.name), plain(command.description));
    for (const OptionSummary& argument : command.arguments)
        out += option_text(argument);
    for (const OptionSummary& option : command.options)
        if (option.names.back() != "--help") out += option_text(option);
    if (!command.example.empty()) out += "```\n" + command.example + "```\n\n";
    return out;
}

}  // namespace

std::string manual_page(const std::vector<CommandSummary>& commands) {
    std::string options;
    std::string details;
    for (const CommandSummary& command : commands) {
        if (!command.name.empty()) {
            details += command_text(command);
            continue;
        }
        for (const OptionSummary& option : command.options)
            options += option_text(option);
    }
    return std::string(begin) + options + "# COMMANDS\n\n" + details + std::string(end);
}

}  // namespace flow29::cli
