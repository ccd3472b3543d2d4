// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/run.hpp"

int main(int argc, char** argv) {
    return flow29::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
