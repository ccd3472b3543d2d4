// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/params.hpp"

#include <limits>

#include <fmt/format.h>
#include <flow29/limits.hpp>
#include <nlohmann/json.hpp>

#include "core/json_depth.hpp"

namespace flow29::api {
namespace {

constexpr auto duration_max = std::chrono::hours(24 * 365 * 100);

}  // namespace

Params::Params(std::string_view text)
    : fields_(std::make_unique<nlohmann::json>(nlohmann::json::object())) {
    if (text.empty()) return;
    if (core::is_nested_beyond(text, limits::json_depth_max)) {
        error_ = Error{Errc::usage, "params are nested too deeply"};
        return;
    }
    *fields_ = nlohmann::json::parse(text, nullptr, false);
    if (fields_->is_object()) return;
    error_ = Error{Errc::usage, "params must be a JSON object"};
    *fields_ = nlohmann::json::object();
}

Params::~Params() = default;

bool Params::has(const char* name) const {
    return fields_->contains(name);
}

const nlohmann::json* Params::find(const char* name) {
    read_.insert(name);
    const auto found = fields_->find(name);
    return found == fields_->end() ? nullptr : &*found;
}

void Params::reject(const char* name, std::string_view expected) {
    if (!error_) error_ = Error{Errc::usage, fmt::format("\"{}\" must be {}", name, expected)};
}

std::string Params::string(const char* name) {
    const auto* const field = find(name);
    if (field != nullptr && field->is_string()) return field->get<std::string>();
    reject(name, "given, as a string");
    return {};
}

std::string Params::string_or(const char* name, std::string fallback) {
    const auto* const field = find(name);
    if (field == nullptr) return fallback;
    if (field->is_string()) return field->get<std::string>();
    reject(name, "a string");
    return fallback;
}

bool Params::flag_or(const char* name, bool fallback) {
    const auto* const field = find(name);
    if (field == nullptr) return fallback;
    if (field->is_boolean()) return field->get<bool>();
    reject(name, "true or false");
    return fallback;
}

std::uint64_t Params::number(const char* name) {
    const auto* const field = find(name);
    if (field != nullptr && field->is_number_unsigned()) return field->get<std::uint64_t>();
    reject(name, "given, as a whole number");
    return 0;
}

std::uint64_t Params::number_or(const char* name, std::uint64_t fallback) {
    const auto* const field = find(name);
    if (field == nullptr) return fallback;
    if (field->is_number_unsigned()) return field->get<std::uint64_t>();
    reject(name, "a whole number, not negative");
    return fallback;
}

std::chrono::milliseconds Params::duration_or(const char* name,
                                              std::chrono::milliseconds fallback) {
    constexpr auto milliseconds_max =
        static_cast<std::uint64_t>(std::chrono::milliseconds(duration_max).count());
    const auto number = number_or(name, static_cast<std::uint64_t>(fallback.count()));
    if (number <= milliseconds_max) return std::chrono::milliseconds(number);
    reject(name, "at most a hundred years");
    return fallback;
}

Link Params::link(const char* name) {
    const std::string text = string(name);
    if (error_) return {};
    auto link = Link::parse(text);
    if (link) return std::move(*link);
    error_ = link.error();
    return {};
}

std::optional<ByteRange> Params::range(const char* name) {
    const auto* const field = find(name);
    if (field == nullptr) return std::nullopt;
    const auto bound = [&](const char* part, std::uint64_t fallback) {
        const auto found = field->is_object() ? field->find(part) : field->end();
        if (found == field->end()) return fallback;
        if (found->is_number_unsigned()) return found->get<std::uint64_t>();
        reject(name, "an object of two whole numbers, first and end");
        return fallback;
    };
    if (!field->is_object()) reject(name, "an object of two whole numbers, first and end");
    const ByteRange range{ByteCount(bound("first", 0)),
                          ByteCount(bound("end", std::numeric_limits<std::uint64_t>::max()))};
    if (range.empty()) reject(name, "a range with first before end");
    return range;
}

Result<void> Params::check() const {
    if (error_) return fail(*error_);
    for (const auto& [name, value] : fields_->items())
        if (!read_.contains(name))
            return fail(Errc::usage, fmt::format("unknown parameter \"{}\"", name));
    return {};
}

}  // namespace flow29::api
