// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/link_argument.hpp"

#include <iostream>

namespace flow29::cli {

Result<Link> read_link(const std::string& argument, const GetEnvironment& environment) {
    if (argument.empty()) {
        const auto link = environment("FLOW29_LINK");
        if (!link)
            return fail(Errc::usage,
                        "LINK is missing; give it, or - to read it from standard "
                        "input, or set FLOW29_LINK");
        return Link::parse(*link);
    }
    if (argument != "-") return Link::parse(argument);
    std::string line;
    if (!std::getline(std::cin, line))
        return fail(Errc::usage, "standard input ended before a link came");
    return Link::parse(line);
}

}  // namespace flow29::cli
