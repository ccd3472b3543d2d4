// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/manual.hpp"

#include <doctest/doctest.h>

using namespace flow29::cli;

TEST_CASE("the manual has every command with its options, arguments and example") {
    const auto commands = describe_commands();
    const auto page = manual_page(commands);
    for (const auto& command : commands) {
        if (command.name.empty()) continue;
        CHECK(page.find("\n## " + command.name + "\n") != std::string::npos);
        CHECK_MESSAGE(!command.example.empty(), command.name);
        CHECK(page.find(command.example) != std::string::npos);
        for (const auto& option : command.options)
            if (option.names.back() != "--help")
                CHECK(page.find('*' + option.names.back() + '*') != std::string::npos);
    }
    CHECK(page.find("*--copies* _N_\n\ton at least so many other nodes") != std::string::npos);
    CHECK(page.find("*PATH*\n\tfiles and directories") != std::string::npos);
}

TEST_CASE("what would be formatting is shown as it is") {
    CommandSummary command{"do_it", "does *it*", {}, false, {}, {}, "flow29 do_it\n"};
    const auto page = manual_page({command});
    CHECK(page.find("## do\\_it\n\ndoes \\*it\\*.") != std::string::npos);
    CHECK(page.find("```\nflow29 do_it\n```") != std::string::npos);
}
