// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/completion.hpp"

#include <fmt/format.h>

#include "cli/text.hpp"

namespace flow29::cli {
namespace {

void append_word(std::string& words, std::string_view word) {
    if (!words.empty()) words += ' ';
    words += word;
}

/// That every command has, and the program itself: once is enough.
bool is_help(const OptionSummary& option) {
    return option.names.back() == "--help";
}

/// Options and fixed values of one command, as words.
std::string words_of(const CommandSummary& command) {
    std::string words;
    for (const std::string& value : command.values)
        append_word(words, value);
    for (const OptionSummary& option : command.options) {
        if (is_help(option) && !command.name.empty()) continue;
        for (const std::string& name : option.names)
            append_word(words, name);
    }
    return words;
}

/// Cases of a shell's `case` that complete the value of the option before the cursor.
std::string value_cases(const std::vector<CommandSummary>& commands) {
    std::string cases;
    for (const CommandSummary& command : commands)
        for (const OptionSummary& option : command.options) {
            if (option.values.empty()) continue;
            std::string values;
            for (const std::string& value : option.values)
                append_word(values, value);
            cases +=
                fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); return;;\n",
                            option.names.back(), values);
        }
    return cases;
}

std::string bash_script(const std::vector<CommandSummary>& commands) {
    std::string names;
    std::string global;
    std::string cases;
    for (const CommandSummary& command : commands) {
        if (command.name.empty()) {
            global = words_of(command);
            continue;
        }
        append_word(names, command.name);
        cases += fmt::format("    {}) words=\"{}\"; files={};;\n", command.name, words_of(command),
                             command.takes_files ? 1 : 0);
    }
    return fmt::format(
        R"(# flow29 completion for bash: source it, or put it where bash-completion looks.
_flow29() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local command="" words="{0}" files=0 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case " {0} " in *" ${{COMP_WORDS[i]}} "*) command="${{COMP_WORDS[i]}}"; break;; esac
  done
  case "$before" in
{3}    --data|--config|--swarm-key|-o|--output) COMPREPLY=($(compgen -f -- "$word")); return;;
  esac
  case "$command" in
{2}  esac
  COMPREPLY=($(compgen -W "$words {1}" -- "$word"))
  if [ "$files" = 1 ] && [ "${{word#-}}" = "$word" ]; then
    COMPREPLY+=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _flow29 flow29
)",
        names, global, cases, value_cases(commands));
}

/// `text` inside a zsh specification within single quotes.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out;
}

std::string zsh_options(const CommandSummary& command) {
    std::string out;
    for (const OptionSummary& option : command.options) {
        if (is_help(option) && !command.name.empty()) continue;
        for (const std::string& name : option.names) {
            std::string values;
            for (const std::string& value : option.values)
                append_word(values, value);
            const std::string action = values.empty() ? "_files" : "(" + values + ")";
            out += fmt::format("      '{}[{}]{}' \\\n", name, zsh_text(option.description),
                               option.takes_value ? ":value:" + action : std::string());
        }
    }
    return out;
}

std::string zsh_script(const std::vector<CommandSummary>& commands) {
    std::string names;
    std::string cases;
    std::string global;
    for (const CommandSummary& command : commands) {
        if (command.name.empty()) {
            global = zsh_options(command);
            continue;
        }
        names += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.description));
        std::string values;
        for (const std::string& value : command.values)
            append_word(values, value);
        const std::string rest = !values.empty()       ? "'*:value:(" + values + ")'"
                                 : command.takes_files ? std::string("'*:file:_files'")
                                                       : std::string("'*:argument:'");
        cases += fmt::format("    {}) _arguments $global \\\n{}      {};;\n", command.name,
                             zsh_options(command), rest);
    }
    return fmt::format(R"(#compdef flow29
# flow29 completion for zsh: put it in a directory of $fpath as _flow29.
_flow29() {{
  local -a commands global
  commands=(
{0}  )
  global=( \
{1}  )
  local state
  _arguments -C $global '1:command:->command' '*::argument:->argument'
  case $state in
  command) _describe command commands;;
  argument)
    case $words[1] in
{2}    esac;;
  esac
}}
_flow29 "$@"
)",
                       names, global, cases);
}

std::string fish_option(const CommandSummary& command, const OptionSummary& option) {
    std::string line = "complete -c flow29";
    if (!command.name.empty())
        line += fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name);
    for (const std::string& name : option.names)
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    std::string values;
    for (const std::string& value : option.values)
        append_word(values, value);
    if (!values.empty()) {
        line += fmt::format(" -x -a '{}'", values);
    } else if (option.takes_value) {
        line += " -r";
    }
    return line + fmt::format(" -d {}\n", shell_quote(option.description));
}

std::string fish_script(const std::vector<CommandSummary>& commands) {
    std::string out = "# flow29 completion for fish: put it in ~/.config/fish/completions.\n";
    std::string names;
    for (const CommandSummary& command : commands)
        if (!command.name.empty()) append_word(names, command.name);
    for (const CommandSummary& command : commands) {
        if (!command.name.empty()) {
            // Fish's own idea of a missing one takes the value of a global option for it.
            out += fmt::format(
                "complete -c flow29 -n 'not __fish_seen_subcommand_from {}' -f -a {} -d {}\n",
                names, command.name, shell_quote(command.description));
            for (const std::string& value : command.values)
                out +=
                    fmt::format("complete -c flow29 -n '__fish_seen_subcommand_from {}' -f -a {}\n",
                                command.name, value);
        }
        for (const OptionSummary& option : command.options)
            if (!is_help(option) || command.name.empty()) out += fish_option(command, option);
    }
    return out;
}

}  // namespace

std::string completion_script(Shell shell, const std::vector<CommandSummary>& commands) {
    switch (shell) {
        case Shell::bash:
            return bash_script(commands);
        case Shell::zsh:
            return zsh_script(commands);
        case Shell::fish:
            return fish_script(commands);
    }
    return {};
}

}  // namespace flow29::cli
