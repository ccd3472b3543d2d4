// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "api/json_results.hpp"

/// Fields of a node's answers, as text for a person. What is missing is nothing: "", 0 or false.
namespace flow29::cli {

/// The object in a line; an empty one if it is none.
[[nodiscard]] api::Json object_in(std::string_view line);

/// The field at a path of names; null when there is none.
[[nodiscard]] const api::Json& at(const api::Json& json, std::initializer_list<const char*> names);
[[nodiscard]] std::string string_at(const api::Json& json,
                                    std::initializer_list<const char*> names);
[[nodiscard]] std::uint64_t number_at(const api::Json& json,
                                      std::initializer_list<const char*> names);
[[nodiscard]] double real_at(const api::Json& json, std::initializer_list<const char*> names);
[[nodiscard]] bool flag_at(const api::Json& json, std::initializer_list<const char*> names);
/// Of a number of bytes.
[[nodiscard]] std::string size_at(const api::Json& json, std::initializer_list<const char*> names);
/// Of a number of milliseconds.
[[nodiscard]] std::string duration_at(const api::Json& json,
                                      std::initializer_list<const char*> names);

[[nodiscard]] std::string short_id(const std::string& id);
/// A root as links have it; nothing of what is not one.
[[nodiscard]] std::string short_root(const std::string& hex);
/// "1 copy", "4 copies", "2 holders".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view one, std::string_view many);
/// An array of strings, with commas between them.
[[nodiscard]] std::string joined(const api::Json& strings);

}  // namespace flow29::cli
