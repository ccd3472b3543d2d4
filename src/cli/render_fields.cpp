// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/render_fields.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <flow29/ids.hpp>

#include "cli/quantity.hpp"
#include "cli/text.hpp"
#include "core/printable.hpp"

namespace flow29::cli {

using api::Json;
using std::chrono::milliseconds;

namespace {
constexpr std::size_t short_id_chars = 12;
}  // namespace

Json object_in(std::string_view line) {
    Json json = Json::parse(line, nullptr, false);
    return json.is_object() ? json : Json::object();
}

const Json& at(const Json& json, std::initializer_list<const char*> names) {
    static const Json nothing;
    const Json* current = &json;
    for (const char* const name : names) {
        const auto found = current->find(name);
        if (found == current->end()) return nothing;
        current = &*found;
    }
    return *current;
}

std::string string_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_string() ? core::printable(field.get<std::string>()) : std::string();
}

std::uint64_t number_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_number_unsigned() ? field.get<std::uint64_t>() : 0;
}

double real_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_number() ? field.get<double>() : 0;
}

bool flag_at(const Json& json, std::initializer_list<const char*> names) {
    const Json& field = at(json, names);
    return field.is_boolean() && field.get<bool>();
}

std::string size_at(const Json& json, std::initializer_list<const char*> names) {
    return format_size(ByteCount(number_at(json, names)));
}

std::string duration_at(const Json& json, std::initializer_list<const char*> names) {
    return format_duration(milliseconds(number_at(json, names)));
}

std::string short_id(const std::string& id) {
    return id.substr(0, short_id_chars);
}

std::string short_root(const std::string& hex) {
    const auto root = id_from_hex<RootHash>(hex);
    return root ? to_base32(*root) : std::string();
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", format_count(count), count == 1 ? one : many);
}

std::string joined(const Json& strings) {
    std::string out;
    for (const Json& element : strings)
        if (element.is_string())
            out += (out.empty() ? "" : ", ") + core::printable(element.get<std::string>());
    return out;
}

}  // namespace flow29::cli
