// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>

namespace flow29 {

/// `flow29:<52 base32>[/path][?name=…&size=…&at=HOST:PORT…][#k=<key>]`: all that anyone needs to
/// fetch.
struct Link {
    RootHash root;
    std::string path;               ///< inside a directory, without a leading '/'; may be empty
    std::string name;               ///< a suggestion; not trusted
    std::optional<ByteCount> size;  ///< a suggestion; the root hash decides
    std::vector<std::string> at;    ///< HOST:PORT of nodes to try, in order
    std::string key;                ///< of a private object; the fragment never leaves this machine

    bool operator==(const Link&) const = default;

    /// The canonical form: lower case, RFC 4648 base32 without padding, percent-encoded values.
    [[nodiscard]] std::string to_string() const;

    /// Accepts the canonical form, the bare 52 characters, 64 hexadecimal digits, upper case,
    /// `web+flow:…` and a gateway's URL (`http://…/f/<root>[/path]`).
    /// Errc::usage says which character, or what length, is wrong.
    [[nodiscard]] static Result<Link> parse(std::string_view text);
};

/// The 52 lower-case base32 characters of a root hash.
[[nodiscard]] std::string to_base32(const RootHash& root);
/// The inverse; Errc::usage says which character or what length is wrong.
[[nodiscard]] Result<RootHash> root_from_base32(std::string_view text);

}  // namespace flow29
