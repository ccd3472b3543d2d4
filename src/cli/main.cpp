// SPDX-License-Identifier: GPL-3.0-or-later
#include <malloc.h>

#include "cli/run.hpp"

int main(int argc, char** argv) {
    // Blocks of a MiB come and go all the time: mapping and faulting in each anew costs 0.2
    // CPU-seconds per GiB moved.
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 128 << 20);
    return flow29::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
