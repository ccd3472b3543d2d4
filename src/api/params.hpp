// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include <flow29/link.hpp>

namespace flow29::api {

/// Reads the fields of a request's JSON object with their types. The first field that is missing or
/// of the wrong type is remembered; reading goes on, and `check` reports it.
class Params {
  public:
    /// `text`: a JSON object; empty: one without fields.
    explicit Params(std::string_view text);
    ~Params();
    Params(const Params&) = delete;
    Params& operator=(const Params&) = delete;

    [[nodiscard]] bool has(const char* name) const;
    [[nodiscard]] std::string string(const char* name);
    [[nodiscard]] std::string string_or(const char* name, std::string fallback);
    [[nodiscard]] bool flag_or(const char* name, bool fallback);
    [[nodiscard]] std::uint64_t number(const char* name);
    [[nodiscard]] std::uint64_t number_or(const char* name, std::uint64_t fallback);
    [[nodiscard]] std::chrono::milliseconds duration_or(const char* name,
                                                        std::chrono::milliseconds fallback);
    [[nodiscard]] Link link(const char* name);
    /// `{"first":0,"end":512}`; without `end`, to the end of the object.
    [[nodiscard]] std::optional<ByteRange> range(const char* name);

    /// Errc::usage when the text was no object, a field was missing or wrong, or one was never
    /// read.
    [[nodiscard]] Result<void> check() const;

  private:
    /// The field, marked as read; null when absent.
    const nlohmann::json* find(const char* name);
    void reject(const char* name, std::string_view expected);

    std::unique_ptr<nlohmann::json> fields_;
    std::set<std::string, std::less<>> read_;
    std::optional<Error> error_;
};

}  // namespace flow29::api
