// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/link.hpp>

#include <charconv>

#include <fmt/format.h>

#include <flow29/limits.hpp>

#include "core/base32.hpp"

namespace flow29 {
namespace {

using core::base32_digit;

constexpr std::size_t base32_chars = 52;
constexpr std::size_t hex_chars = 2 * RootHash::size;
constexpr std::size_t at_max = limits::addresses_per_record_max;

// Locale-free: a link reads the same everywhere.
char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = to_lower(c);
    return out;
}

std::optional<unsigned> hex_digit(char c) {
    const char lower = to_lower(c);
    if (lower >= '0' && lower <= '9') return static_cast<unsigned>(lower - '0');
    if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a' + 10);
    return std::nullopt;
}

/// `c` in quotes, or its code when it would not print.
std::string shown(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) return fmt::format("byte 0x{:02x}", byte);
    return fmt::format("'{}'", c);
}

/// A piece of the text being parsed and where it starts, so that errors can count from the front.
struct Piece {
    std::string_view text;
    std::size_t offset = 0;

    [[nodiscard]] Piece from(std::size_t position) const {
        return {text.substr(position), offset + position};
    }
    [[nodiscard]] Piece until(std::size_t position) const {
        return {text.substr(0, position), offset};
    }
};

tl::unexpected<Error> bad_character(const Piece& piece, std::size_t index,
                                    std::string_view alphabet) {
    return fail(Errc::usage,
                fmt::format("character {} ({}) is not one of {}", piece.offset + index + 1,
                            shown(piece.text[index]), alphabet));
}

Result<RootHash> parse_base32(const Piece& piece) {
    RootHash root;
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    std::size_t filled = 0;
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
        const auto digit = base32_digit(piece.text[i]);
        if (!digit) return bad_character(piece, i, "a-z and 2-7");
        pending = (pending << 5U) | *digit;
        pending_bits += 5;
        if (pending_bits < 8) continue;
        pending_bits -= 8;
        root.bytes[filled++] = static_cast<std::uint8_t>(pending >> pending_bits);
        pending &= (1U << pending_bits) - 1;
    }
    // 52 characters carry 260 bits; if the last four could be anything, a root had sixteen names.
    if (pending != 0)
        return bad_character(piece, base32_chars - 1, "'a' and 'q', which end a root");
    return root;
}

Result<RootHash> parse_hex(const Piece& piece) {
    RootHash root;
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
        const auto digit = hex_digit(piece.text[i]);
        if (!digit) return bad_character(piece, i, "0-9 and a-f");
        auto& octet = root.bytes[i / 2];
        octet = static_cast<std::uint8_t>((octet << 4U) | *digit);
    }
    return root;
}

tl::unexpected<Error> wrong_length(const Piece& piece, std::string_view expected) {
    std::string message =
        fmt::format("the hash has {} character{} instead of {}", piece.text.size(),
                    piece.text.size() == 1 ? "" : "s", expected);
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
        if (base32_digit(piece.text[i]) || hex_digit(piece.text[i])) continue;
        message += fmt::format(", and character {} ({}) cannot be part of one",
                               piece.offset + i + 1, shown(piece.text[i]));
        break;
    }
    return fail(Errc::usage, std::move(message));
}

Result<RootHash> parse_root(const Piece& piece) {
    if (piece.text.size() == base32_chars) return parse_base32(piece);
    if (piece.text.size() == hex_chars) return parse_hex(piece);
    return wrong_length(piece, "52 (or 64 hexadecimal digits)");
}

bool is_unreserved(char c) {
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/// RFC 3986 percent-encoding; `keep` lists reserved characters that may stand for themselves.
std::string percent_encode(std::string_view text, std::string_view keep) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c) || keep.find(c) != std::string_view::npos) {
            out.push_back(c);
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

Result<std::string> percent_decode(const Piece& piece) {
    std::string out;
    out.reserve(piece.text.size());
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
        char c = piece.text[i];
        const std::size_t begin = i;
        if (c == '%') {
            const auto high =
                i + 1 < piece.text.size() ? hex_digit(piece.text[i + 1]) : std::nullopt;
            const auto low =
                i + 2 < piece.text.size() ? hex_digit(piece.text[i + 2]) : std::nullopt;
            if (!high || !low)
                return fail(
                    Errc::usage,
                    fmt::format("character {} ('%') is not followed by two hexadecimal digits",
                                piece.offset + i + 1));
            c = static_cast<char>(*high * 16 + *low);
            i += 2;
        }
        // Written out as well: paths that the system is given would end there.
        if (c == '\0')
            return fail(Errc::usage, fmt::format("character {}: a zero byte cannot be in a link",
                                                 piece.offset + begin + 1));
        out.push_back(c);
    }
    return out;
}

/// Calls `take(key, value)` for each `key=value` of an `&`-separated list until one fails.
template <class Take>
Result<void> for_each_pair(Piece list, Take take) {
    while (!list.text.empty()) {
        const auto end = std::min(list.text.find('&'), list.text.size());
        const Piece pair = list.until(end);
        const auto equals = std::min(pair.text.find('='), pair.text.size());
        const Piece value = pair.from(std::min(equals + 1, pair.text.size()));
        const Result<void> taken = take(pair.text.substr(0, equals), value);
        if (!taken) return taken;
        list = list.from(std::min(end + 1, list.text.size()));
    }
    return {};
}

/// Keys that are not known are skipped: a later version may add some.
Result<void> parse_query(const Piece& query, Link& link) {
    return for_each_pair(query, [&](std::string_view key, const Piece& value) -> Result<void> {
        auto decoded = percent_decode(value);
        if (!decoded) return fail(decoded.error());
        if (key == "name") {
            link.name = std::move(*decoded);
        } else if (key == "size") {
            std::uint64_t size = 0;
            const char* const end = decoded->data() + decoded->size();
            const auto [stop, error] = std::from_chars(decoded->data(), end, size);
            if (error != std::errc{} || stop != end)
                return fail(Errc::usage, fmt::format("character {}: the size is not a number{}",
                                                     value.offset + 1,
                                                     decoded->find('/') == std::string::npos
                                                         ? ""
                                                         : "; a path goes before the '?'"));
            link.size = ByteCount(size);
        } else if (key == "at" && link.at.size() < at_max) {
            link.at.push_back(std::move(*decoded));
        }
        return {};
    });
}

Result<void> parse_fragment(const Piece& fragment, Link& link) {
    return for_each_pair(fragment, [&](std::string_view key, const Piece& value) -> Result<void> {
        if (key != "k") return {};
        auto decoded = percent_decode(value);
        if (!decoded) return fail(decoded.error());
        link.key = std::move(*decoded);
        return {};
    });
}

/// `<root>[/path][?query][#fragment]`.
Result<Link> parse_body(Piece body) {
    Link link;
    const auto root_end = std::min(body.text.find_first_of("/?#"), body.text.size());
    const auto root = parse_root(body.until(root_end));
    if (!root) return fail(root.error());
    link.root = *root;
    body = body.from(root_end);

    const auto hash = std::min(body.text.find('#'), body.text.size());
    const Piece fragment = body.from(std::min(hash + 1, body.text.size()));
    body = body.until(hash);
    const auto question = std::min(body.text.find('?'), body.text.size());
    const Piece query = body.from(std::min(question + 1, body.text.size()));
    body = body.until(question);

    while (!body.text.empty() && body.text.front() == '/')
        body = body.from(1);
    auto path = percent_decode(body);
    if (!path) return fail(path.error());
    if (path->size() > limits::path_bytes_max)
        return fail(Errc::usage, fmt::format("the path in the link is longer than {} bytes",
                                             limits::path_bytes_max));
    link.path = std::move(*path);

    if (const auto parsed = parse_query(query, link); !parsed) return fail(parsed.error());
    if (const auto parsed = parse_fragment(fragment, link); !parsed) return fail(parsed.error());
    return link;
}

/// What follows `/f/` in a gateway's URL.
Result<Link> parse_url(const Piece& url) {
    const auto authority = url.text.find("//");
    const auto path =
        authority == std::string_view::npos ? authority : url.text.find('/', authority + 2);
    constexpr std::string_view prefix = "/f/";
    if (path == std::string_view::npos || url.text.substr(path, prefix.size()) != prefix)
        return fail(Errc::usage, "the URL has no /f/ and root hash, so no gateway wrote it");
    return parse_body(url.from(path + prefix.size()));
}

Piece trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto first = std::min(text.find_first_not_of(blank), text.size());
    const auto last = text.find_last_not_of(blank);
    if (last == std::string_view::npos) return {{}, first};
    return {text.substr(first, last + 1 - first), first};
}

}  // namespace

std::string to_base32(const RootHash& root) {
    return core::base32_of(root.view());
}

Result<RootHash> root_from_base32(std::string_view text) {
    const Piece piece{text, 0};
    if (text.size() != base32_chars) return wrong_length(piece, "52");
    return parse_base32(piece);
}

std::string Link::to_string() const {
    std::string out = "flow29:" + to_base32(root);
    if (!path.empty()) out += '/' + percent_encode(path, "/");
    char separator = '?';
    const auto add = [&](std::string_view field, std::string_view value) {
        out += fmt::format("{}{}={}", separator, field, percent_encode(value, ":"));
        separator = '&';
    };
    if (!name.empty()) add("name", name);
    if (size) add("size", std::to_string(size->value));
    for (const std::string& address : at)
        add("at", address);
    if (!key.empty()) out += "#k=" + percent_encode(key, {});
    return out;
}

Result<Link> Link::parse(std::string_view text) {
    Piece piece = trimmed(text);
    if (piece.text.empty()) return fail(Errc::usage, "the link is empty");
    const auto mark = piece.text.find_first_of(":/?#");
    if (mark == std::string_view::npos || piece.text[mark] != ':') return parse_body(piece);

    const std::string scheme = to_lower(piece.text.substr(0, mark));
    if (scheme == "http" || scheme == "https") return parse_url(piece);
    if (scheme != "flow29" && scheme != "web+flow")
        return fail(Errc::usage,
                    fmt::format("\"{}:\" does not begin a link; flow29: does, or a bare root hash",
                                scheme));
    piece = piece.from(mark + 1);
    if (piece.text.substr(0, 2) == "//") piece = piece.from(2);
    return parse_body(piece);
}

}  // namespace flow29
