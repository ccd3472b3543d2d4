// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/outcome_log.hpp"

#include <string>
#include <utility>

#include "core/log.hpp"
#include "core/size_text.hpp"

namespace flow29::node {
namespace {

namespace log = core::log;

/// As a link begins, too short to be one.
std::string short_name(const RootHash& root) {
    return to_base32(root).substr(0, 12);
}

}  // namespace

DoneFn<PublishResult> logged(DoneFn<PublishResult> done) {
    return [done = std::move(done)](Result<PublishResult> result) {
        if (!result)
            log::info("publish", "ended: {}", result.error().message());
        else if (result->shortfall.empty())
            log::info("publish", "{}, {}: published", short_name(result->root),
                      core::size_text(result->bytes));
        else
            log::warn("publish", "{}, {}: {} of {} copies; {}", short_name(result->root),
                      core::size_text(result->bytes), result->copies.min, result->target,
                      result->shortfall);
        done(std::move(result));
    };
}

DoneFn<FetchResult> logged(const RootHash& root, DoneFn<FetchResult> done) {
    return [root, done = std::move(done)](Result<FetchResult> result) {
        if (!result)
            log::info("fetch", "{}: {}", short_name(root), result.error().message());
        else
            log::info("fetch", "{}: {} fetched, {} of them from {} others", short_name(root),
                      core::size_text(result->bytes), core::size_text(result->fetched),
                      result->holders);
        done(std::move(result));
    };
}

}  // namespace flow29::node
