// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/settings.hpp"

#include "input.hpp"

/// A configuration file: refused with the name of the file, or within the bounds of each setting.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const auto settings = cli::parse_config(fuzz::text_of(data, size), "file.toml");
    if (!settings) {
        FLOW29_ASSERT(settings.error().code == Errc::usage);
        FLOW29_ASSERT(settings.error().context.starts_with("file.toml:"));
        return 0;
    }
    const auto& node = settings->node;
    if (node.copies) FLOW29_ASSERT(*node.copies >= 1 && *node.copies <= limits::copies_max);
    for (const auto& percent : {node.quota_publisher, node.quota_group})
        if (percent) FLOW29_ASSERT(*percent >= 1 && *percent <= 100);
    for (const auto& rate : {node.up_limit, node.down_limit})
        if (rate) FLOW29_ASSERT(rate->value == 0 || rate->value >= limits::line_rate_min);
    if (node.grace) FLOW29_ASSERT(node.grace->count() >= 0);
    return 0;
}
