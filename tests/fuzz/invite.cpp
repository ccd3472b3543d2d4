// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/invite.hpp"

#include "core/base32.hpp"
#include "core/endpoint.hpp"
#include "core/hash.hpp"
#include "input.hpp"

namespace {

using namespace flow29;
using core::Invite;

/// The form in which `to_string` writes what people write in several.
std::string plain(std::string_view text) {
    std::string word;
    for (const char c : text)
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '-')
            word.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    return word;
}

/// Whatever is accepted has one plain form, which is what is written for what it says.
void check_parse(std::string_view text) {
    const auto invite = Invite::parse(text);
    if (!invite) {
        FLOW29_ASSERT(invite.error().code == Errc::usage && !invite.error().message().empty());
        return;
    }
    FLOW29_ASSERT(!invite->addresses.empty() && invite->addresses.size() <= Invite::addresses_max);
    for (const auto& address : invite->addresses)
        FLOW29_ASSERT(core::check_invitable(address).has_value());
    FLOW29_ASSERT(invite->to_string() == plain(text));
}

/// With the checksum, which no mutation would hit.
std::string word_of(ByteView body) {
    constexpr std::string_view domain = "flow29 invite";
    const ByteView prefix(reinterpret_cast<const std::uint8_t*>(domain.data()), domain.size());
    const auto digest = core::sha256({prefix, body});
    Bytes octets(body.begin(), body.end());
    octets.insert(octets.end(), digest.begin(), digest.begin() + 4);
    return "flow29i:" + core::base32_of(octets);
}

std::string random_address(fuzz::Input& input) {
    switch (input.number(3)) {
        case 0:
            return "192.0.2." + std::to_string(input.octet()) + ":" +
                   std::to_string(input.number(0xffff));
        case 1:
            return "[2001:db8::" + input.text(5) + "]:" + std::to_string(input.number(0xffff));
        case 2:
            return std::string(input.octet(), 'a') + input.text(20) + ":2929";
        default:
            return input.text(60);
    }
}

Invite random_invite(fuzz::Input& input) {
    Invite invite;
    for (auto left = 1 + input.number(Invite::addresses_max - 1); left > 0; --left)
        if (auto address = random_address(input); core::check_invitable(address))
            invite.addresses.push_back(std::move(address));
    if (invite.addresses.empty()) invite.addresses.emplace_back("example.org:2929");
    if (input.flag()) invite.key = input.id<core::SwarmKey>();
    return invite;
}

}  // namespace

/// Invites as text, as octets with a right checksum, and made of what may be in one: those read
/// back as what they are, and changed in one place they are refused, or mean what they say then.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::text_of(data, size);
    check_parse(text);
    static_cast<void>(core::check_invitable(text));
    check_parse(word_of(ByteView(data, size)));

    fuzz::Input input(data, size);
    const auto invite = random_invite(input);
    auto word = invite.to_string();
    const auto read = Invite::parse(word);
    FLOW29_ASSERT(read && read->to_string() == word && read->key == invite.key);
    FLOW29_ASSERT(read->addresses.size() == invite.addresses.size());
    const auto place = static_cast<std::size_t>(input.number(word.size() - 1));
    const auto change = input.octet();
    if (change % 4 == 3) check_parse(word.substr(0, place));
    if (change % 2 == 0)
        word[place] = static_cast<char>(change);
    else
        word.insert(place, 1, " \t\r\n-"[change / 2 % 5]);
    check_parse(word);
    return 0;
}
