// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/event.hpp"

#include "input.hpp"

/// A line of a node's answer, as the command line reads it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const auto event = cli::parse_event(fuzz::text_of(data, size));
    if (!event) {
        FLOW29_ASSERT(event.error().code == Errc::other);
        return 0;
    }
    const auto again = cli::parse_event(cli::progress_line(event->progress));
    FLOW29_ASSERT(again && again->kind == cli::Event::Kind::progress);
    FLOW29_ASSERT(again->progress.done == event->progress.done);
    FLOW29_ASSERT(again->progress.total == event->progress.total);
    FLOW29_ASSERT(event->kind == cli::Event::Kind::error || event->error.context.empty());
    return 0;
}
