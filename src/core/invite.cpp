// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/invite.hpp"

#include "core/assert.hpp"
#include "core/base32.hpp"
#include "core/endpoint.hpp"
#include "core/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace flow29::core {
namespace {

constexpr std::string_view scheme = "flow29i:";
constexpr std::string_view domain = "flow29 invite";
constexpr std::uint8_t version = 1;
constexpr std::uint8_t flag_private = 1;
constexpr std::uint8_t type_name = 0;
constexpr std::uint8_t type_v4 = 4;
constexpr std::uint8_t type_v6 = 6;
constexpr std::size_t checksum_bytes = 4;
// Version, flags, number of addresses, addresses, key, checksum.
constexpr std::size_t octets_max =
    3 + Invite::addresses_max * (4 + Invite::host_bytes_max) + SwarmKey::size + checksum_bytes;
constexpr std::size_t characters_max = (8 * octets_max + 4) / 5;
// Of eight addresses and a key; a mistake is looked for up to this. It takes time by the square of
// the length, and who joins a swarm is on the node's thread.
constexpr std::size_t repairable_characters_max = 512;

Bytes checksum_of(ByteView octets) {
    const ByteView prefix(reinterpret_cast<const std::uint8_t*>(domain.data()), domain.size());
    const auto digest = sha256({prefix, octets});
    return {digest.begin(), digest.begin() + checksum_bytes};
}

bool has_checksum(ByteView octets) {
    if (octets.size() < checksum_bytes) return false;
    const auto body = octets.first(octets.size() - checksum_bytes);
    return std::ranges::equal(checksum_of(body), octets.last(checksum_bytes));
}

/// HOST:PORT of a name or of an IPv4 address.
struct HostPort {
    std::string_view host;
    std::uint16_t port = 0;
};

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

std::optional<HostPort> split(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon > Invite::host_bytes_max)
        return std::nullopt;
    HostPort parts{text.substr(0, colon), 0};
    const auto digits = text.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), parts.port);
    if (error != std::errc() || end != digits.data() + digits.size() || parts.port == 0)
        return std::nullopt;
    if (!std::ranges::all_of(parts.host, is_host_character)) return std::nullopt;
    return parts;
}

void put_port(Bytes& out, std::uint16_t port) {
    out.push_back(static_cast<std::uint8_t>(port >> 8));
    out.push_back(static_cast<std::uint8_t>(port));
}

void put_address(Bytes& out, std::string_view text) {
    if (const auto endpoint = Endpoint::parse(text)) {
        const Bytes octets = endpoint->octets();
        out.push_back(endpoint->is_v4() ? type_v4 : type_v6);
        out.insert(out.end(), octets.begin(), octets.end());
        return put_port(out, endpoint->port);
    }
    const auto parts = split(text);
    FLOW29_ASSERT(parts.has_value());
    out.push_back(type_name);
    out.push_back(static_cast<std::uint8_t>(parts->host.size()));
    out.insert(out.end(), parts->host.begin(), parts->host.end());
    put_port(out, parts->port);
}

/// Takes octets from the front; remembers when there were too few.
class Reader {
  public:
    explicit Reader(ByteView octets) : left_(octets) {}

    ByteView take(std::size_t octets) {
        if (octets > left_.size()) short_ = true;
        if (short_) return {};
        const auto taken = left_.first(octets);
        left_ = left_.subspan(octets);
        return taken;
    }
    std::uint8_t octet() {
        const auto taken = take(1);
        return taken.empty() ? std::uint8_t{0} : taken.front();
    }
    std::uint16_t port() {
        const auto taken = take(2);
        return taken.empty() ? std::uint16_t{0}
                             : static_cast<std::uint16_t>(taken[0] << 8 | taken[1]);
    }
    [[nodiscard]] bool was_short() const { return short_; }
    [[nodiscard]] bool at_end() const { return !short_ && left_.empty(); }

  private:
    ByteView left_;
    bool short_ = false;
};

/// Empty when it is none.
std::string read_address(Reader& reader) {
    const auto type = reader.octet();
    if (type == type_name) {
        const auto host = reader.take(reader.octet());
        const std::string text =
            fmt::format("{}:{}", std::string(host.begin(), host.end()), reader.port());
        // An address as a name would have two spellings, and could be one that is nobody's.
        return split(text) && !Endpoint::parse(text) ? text : std::string();
    }
    if (type != type_v4 && type != type_v6) return {};
    const auto octets = reader.take(type == type_v4 ? 4 : 16);
    const auto endpoint = Endpoint::from_octets(octets, reader.port());
    // One that has another type's form would have two spellings.
    if (!endpoint || endpoint->is_unspecified() || endpoint->is_v4() != (type == type_v4))
        return {};
    return endpoint->to_string();
}

/// The outcome of reading octets whose checksum may or may not be right.
struct Reading {
    std::optional<Invite> invite;
    bool is_short = false;
};

Reading read_body(ByteView octets) {
    Reader reader(octets);
    Invite invite;
    static_cast<void>(reader.octet());  // the version, which the caller has seen
    const auto flags = reader.octet();
    const auto count = reader.octet();
    bool good = flags <= flag_private && count >= 1 && count <= Invite::addresses_max;
    for (unsigned i = 0; good && i < count; ++i) {
        invite.addresses.push_back(read_address(reader));
        good = !invite.addresses.back().empty();
    }
    if (good && (flags & flag_private) != 0) {
        invite.key = SwarmKey::from(reader.take(SwarmKey::size));
        good = invite.key.has_value();
    }
    if (reader.was_short()) return {std::nullopt, true};
    if (!good || !reader.at_end()) return {};
    return {std::move(invite), false};
}

/// The word without its scheme and what people put between characters, and where each of them was.
struct Letters {
    std::string text;
    std::vector<std::size_t> places;  ///< counted from 1 in what was pasted
};

bool is_filler(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '-';
}

bool begins_with_scheme(std::string_view text) {
    if (text.size() < scheme.size()) return false;
    return std::ranges::equal(text.substr(0, scheme.size()), scheme, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

std::string shown(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) return fmt::format("byte 0x{:02x}", byte);
    return fmt::format("'{}'", c);
}

Result<Letters> letters_of(std::string_view text) {
    const auto first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    if (first == text.size()) return fail(Errc::usage, "the invite is empty");
    if (!begins_with_scheme(text.substr(first)))
        return fail(Errc::usage, "an invite begins with flow29i:, as `flow29 invite` prints it");
    Letters letters;
    for (std::size_t i = first + scheme.size(); i < text.size(); ++i) {
        if (is_filler(text[i])) continue;
        if (!base32_digit(text[i]))
            return fail(Errc::usage, fmt::format("character {} of the invite ({}) is not one of "
                                                 "a-z and 2-7",
                                                 i + 1, shown(text[i])));
        if (letters.text.size() == characters_max)
            return fail(Errc::usage,
                        fmt::format("the invite has more than {} characters", characters_max));
        letters.text.push_back(text[i]);
        letters.places.push_back(i + 1);
    }
    return letters;
}

/// The word with one character changed that has a right checksum, if there is exactly one.
/// 32 hashes a character: milliseconds.
struct Repair {
    std::size_t index = 0;
    char character = 0;
};
std::optional<Repair> find_repair(const std::string& text) {
    std::optional<Repair> found;
    std::string changed = text;
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (const char c : base32_alphabet) {
            changed[i] = c;
            const auto octets = octets_of_base32(changed);
            if (!octets || !has_checksum(*octets)) continue;
            if (found) return std::nullopt;
            found = Repair{i, c};
        }
        changed[i] = text[i];
    }
    return found;
}

tl::unexpected<Error> why_wrong(const Letters& letters) {
    // First, as a wrong character may say that more follows than does.
    const bool is_repairable = letters.text.size() <= repairable_characters_max;
    if (const auto repair = is_repairable ? find_repair(letters.text) : std::nullopt)
        return fail(Errc::usage,
                    fmt::format("character {} of the invite ({}) is wrong; it was "
                                "probably '{}'",
                                letters.places[repair->index], shown(letters.text[repair->index]),
                                repair->character));
    // As far as whole octets go: what is left over of a word that was cut may be anything.
    const auto octets =
        octets_of_base32(std::string_view(letters.text).substr(0, letters.text.size() / 8 * 8));
    if (octets && read_body(*octets).is_short)
        return fail(Errc::usage, fmt::format("the invite ends too early, after {} characters; was "
                                             "all of it pasted?",
                                             letters.places.empty() ? 0 : letters.places.back()));
    if (!is_repairable) return fail(Errc::usage, "the invite's checksum is wrong; paste it anew");
    return fail(Errc::usage,
                "the invite's checksum is wrong: more than one character is missing, too many or "
                "another; paste it anew");
}

}  // namespace

std::string Invite::to_string() const {
    FLOW29_ASSERT(!addresses.empty());
    FLOW29_ASSERT(addresses.size() <= addresses_max);
    Bytes octets{version, key ? flag_private : std::uint8_t{0},
                 static_cast<std::uint8_t>(addresses.size())};
    for (const std::string& address : addresses)
        put_address(octets, address);
    if (key) octets.insert(octets.end(), key->bytes.begin(), key->bytes.end());
    const Bytes sum = checksum_of(octets);
    octets.insert(octets.end(), sum.begin(), sum.end());
    return std::string(scheme) + base32_of(octets);
}

Result<Invite> Invite::parse(std::string_view text) {
    const auto letters = letters_of(text);
    if (!letters) return fail(letters.error());
    const auto octets = octets_of_base32(letters->text);
    if (!octets || !has_checksum(*octets)) return why_wrong(*letters);
    const auto body = ByteView(*octets).first(octets->size() - checksum_bytes);
    if (body.empty() || body.front() != version)
        return fail(Errc::usage, fmt::format("the invite is of version {}, and this program knows "
                                             "version {}; is there a newer one?",
                                             body.empty() ? 0 : body.front(), version));
    auto reading = read_body(body);
    if (!reading.invite) return fail(Errc::usage, "the invite says nothing that makes sense");
    return std::move(*reading.invite);
}

Result<void> check_invitable(std::string_view address) {
    if (const auto endpoint = Endpoint::parse(address)) {
        if (endpoint->is_unspecified())
            return fail(Errc::usage, fmt::format("{} cannot be reached from elsewhere", address));
        return {};
    }
    if (!split(address)) return fail(Errc::usage, fmt::format("\"{}\" is not HOST:PORT", address));
    return {};
}

}  // namespace flow29::core
