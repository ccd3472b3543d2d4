// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/completion.hpp"

#include <doctest/doctest.h>

namespace flow29::cli {

TEST_CASE("each shell's script knows every command and option") {
    const auto commands = describe_commands();
    for (const Shell shell : {Shell::bash, Shell::zsh, Shell::fish}) {
        const std::string script = completion_script(shell, commands);
        for (const CommandSummary& command : commands) {
            CAPTURE(command.name);
            CHECK(script.find(command.name) != std::string::npos);
            for (const OptionSummary& option : command.options) {
                const std::string& name = option.names.back();
                CAPTURE(name);
                CHECK(script.find(name.substr(2)) != std::string::npos);
            }
        }
        CHECK(script.find("announced copies none") != std::string::npos);
    }
}

TEST_CASE("what every command has is offered once") {
    const std::string script = completion_script(Shell::bash, describe_commands());
    const auto line = script.find("    publish) words=");
    REQUIRE(line != std::string::npos);
    CHECK(script.substr(line, script.find('\n', line) - line).find("--help") == std::string::npos);
    CHECK(script.find("transfers) words=\"cancel pause resume ") != std::string::npos);
}

}  // namespace flow29::cli
