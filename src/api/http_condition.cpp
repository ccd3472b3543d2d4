// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/http_condition.hpp"

#include <algorithm>

#include "core/hash.hpp"

namespace flow29::api {
namespace {

enum class Comparison { strong, weak };  // RFC 9110 §8.8.3.2

bool names_tag(std::string_view list, std::string_view tag, Comparison comparison) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        auto one = trimmed(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (comparison == Comparison::weak && one.starts_with("W/")) one.remove_prefix(2);
        if (one == tag) return true;
    }
    return false;
}

/// Whether any line of this header has the tag.
bool any_names_tag(const HttpRequest& request, std::string_view header, std::string_view tag,
                   Comparison comparison) {
    return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& line) {
        return line.first == header && names_tag(line.second, tag, comparison);
    });
}

}  // namespace

std::string tag_digest(std::string_view text) {
    const auto digest =
        core::sha256({ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())});
    return to_hex(ByteView(digest).first(16));
}

Condition condition_of(const HttpRequest& request, std::string_view tag) {
    constexpr std::string_view any = "*";
    if (request.header_count("if-match") != 0 &&
        !any_names_tag(request, "if-match", any, Comparison::strong) &&
        !any_names_tag(request, "if-match", tag, Comparison::strong))
        return Condition::fails;
    if (any_names_tag(request, "if-none-match", tag, Comparison::weak)) return Condition::has_copy;
    if (any_names_tag(request, "if-none-match", any, Comparison::strong)) return Condition::exists;
    return Condition::holds;
}

}  // namespace flow29::api
