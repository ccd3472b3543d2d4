// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/command_line.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/grammar.hpp"
#include "cli/quantity.hpp"
#include "cli/text.hpp"

namespace flow29::cli {
namespace {

/// The names that an option can be called by, with their dashes.
std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames())
        names.push_back("-" + name);
    for (const std::string& name : option.get_lnames())
        names.push_back("--" + name);
    return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options())
        for (const std::string& name : names_of(*option))
            if (name.starts_with("--")) names.push_back(name);
    return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const auto meant = nearest(word, candidates);
    return meant ? fmt::format("; did you mean {}?", *meant) : std::string();
}

/// What is wrong with the first argument that nothing took.
tl::unexpected<Error> unexpected_argument(const CLI::App& app, const CLI::App* chosen,
                                          const std::string& argument) {
    if (argument.size() > 1 && argument.front() == '-') {
        auto names = option_names(app);
        if (chosen != nullptr)
            for (std::string& name : option_names(*chosen))
                names.push_back(std::move(name));
        const std::string name = argument.substr(0, argument.find('='));
        return fail(Errc::usage,
                    fmt::format("there is no option {}{}{}", name,
                                chosen ? " of `flow29 " + chosen->get_name() + "`" : "",
                                did_you_mean(name, names)));
    }
    if (chosen != nullptr)
        return fail(Errc::usage, fmt::format("`flow29 {}` does not take the argument \"{}\"",
                                             chosen->get_name(), argument));
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({}))
        names.push_back(command->get_name());
    const std::string meant = did_you_mean(argument, names);
    return fail(Errc::usage, fmt::format("there is no command \"{}\"{}", argument,
                                         meant.empty() ? "; `flow29 --help` lists them" : meant));
}

/// What nothing took. "--" itself, which ends the options, is not among it.
std::vector<std::string> leftovers(const CLI::App& app) {
    auto left = app.remaining(true);
    std::erase(left, "--");
    return left;
}

const CLI::App* chosen_command(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? nullptr : chosen.front();
}

/// Arguments that make no sense together, or alone.
Result<void> check(const Invocation& invocation) {
    for (const std::string& address : invocation.global.bootstrap) {
        const auto colon = address.rfind(':');
        if (colon == std::string::npos || colon == 0 ||
            !parse_number(std::string_view(address).substr(colon + 1), {1, 65'535}))
            return fail(Errc::usage,
                        fmt::format("--bootstrap: \"{}\" is not HOST:PORT; a node listens on port "
                                    "2929 if nothing else was said",
                                    address));
    }
    if (const auto* const list = std::get_if<ListOptions>(&invocation.command))
        if (list->watch && list->link)
            return fail(Errc::usage, "--watch: what is in a directory never changes");
    if (const auto* const join = std::get_if<JoinOptions>(&invocation.command))
        if (join->invite.empty() && !join->is_new)
            return fail(Errc::usage,
                        "`flow29 join` needs the word that `flow29 invite` prints; --new begins a "
                        "private swarm instead");
    if (const auto* const publish = std::get_if<PublishOptions>(&invocation.command)) {
        const auto chunks = publish->extent_chunks.value_or(1);
        if ((chunks & (chunks - 1)) != 0)
            return fail(Errc::usage,
                        fmt::format("--extent-chunks: {} is not a power of two", chunks));
        if (std::ranges::count(publish->paths, "-") > 1)
            return fail(Errc::usage, "standard input (-) can be published once only");
    }
    return {};
}

}  // namespace

bool asks_for_json(const std::vector<std::string>& arguments) {
    for (const std::string& argument : arguments) {
        if (argument == "--") return false;
        if (argument == "--json") return true;
    }
    return false;
}

Result<std::variant<Invocation, HelpText>> parse_command_line(
    const std::vector<std::string>& arguments) {
    Grammar grammar;
    CLI::App& app = grammar.app();
    try {
        // CLI11 takes them from the back.
        app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::CallForVersion& version) {
        return HelpText{std::string(version.what()) + "\n"};
    } catch (const CLI::CallForHelp&) {
        return HelpText{app.help()};
    } catch (const CLI::ParseError& error) {
        // A misspelt option is the likelier reason for one that is missing.
        const auto left = leftovers(app);
        const bool missing = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
        if (missing && !left.empty())
            return unexpected_argument(app, chosen_command(app), left.front());
        const CLI::App* const command = chosen_command(app);
        if (missing && command != nullptr)
            return fail(Errc::usage, fmt::format("{}; `flow29 {} --help` has an example",
                                                 error.what(), command->get_name()));
        return fail(Errc::usage, error.what());
    }
    const CLI::App* const chosen = chosen_command(app);
    if (const auto left = leftovers(app); !left.empty())
        return unexpected_argument(app, chosen, left.front());
    if (chosen == nullptr)
        return fail(Errc::usage, "a command is missing; `flow29 --help` lists them");
    Invocation invocation{grammar.global(), grammar.command(chosen->get_name())};
    if (const auto checked = check(invocation); !checked) return fail(checked.error());
    return invocation;
}

namespace {

/// What stands between "Example:" and the next blank line, without its indent.
std::string example_in(std::string_view footer) {
    constexpr std::string_view begin = "Example:\n";
    const auto at = footer.find(begin);
    if (at == std::string_view::npos) return {};
    footer.remove_prefix(at + begin.size());
    std::string out;
    for (const std::string& line :
         CLI::detail::split(std::string(footer.substr(0, footer.find("\n\n"))), '\n'))
        out += line.substr(std::min(line.find_first_not_of(' '), line.size())) + '\n';
    return out;
}

}  // namespace

std::vector<CommandSummary> describe_commands() {
    Grammar grammar;
    std::vector<const CLI::App*> apps{&grammar.app()};
    for (const CLI::App* command : grammar.app().get_subcommands({}))
        apps.push_back(command);
    std::vector<CommandSummary> summaries;
    for (const CLI::App* app : apps) {
        CommandSummary summary;
        if (app != &grammar.app()) summary.name = app->get_name();
        summary.description = app->get_description();
        summary.example = example_in(app->get_footer());
        for (const CLI::Option* option : app->get_options()) {
            std::vector<std::string> values;
            const std::string type = option->get_type_name();
            if (type.find('|') != std::string::npos) values = CLI::detail::split(type, '|');
            if (option->get_positional()) {
                summary.takes_files |= option->get_name() == "PATH";
                if (!values.empty()) summary.values = values;
                summary.arguments.push_back(
                    {{option->get_name()}, option->get_description(), true, values, {}});
                continue;
            }
            const bool takes_value = option->get_items_expected_max() > 0;
            summary.options.push_back({names_of(*option), option->get_description(), takes_value,
                                       values, takes_value ? type : std::string()});
        }
        summaries.push_back(std::move(summary));
    }
    return summaries;
}

}  // namespace flow29::cli
