// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/seal.hpp"

#include <flow29/limits.hpp>

#include "core/assert.hpp"
#include "core/identity.hpp"
#include "core/link_local.hpp"

#include <nettle/siv-cmac.h>

#include <algorithm>
#include <cstring>

namespace flow29::core {
namespace {

constexpr std::size_t nonce_bytes = 16;
constexpr std::size_t header_bytes = 18 + 8;  // destination and time
constexpr std::uint64_t unix_ms_max = std::uint64_t{1} << 52;
static_assert(seal_overhead == nonce_bytes + SIV_DIGEST_SIZE + header_bytes);

void put_number(std::uint8_t* out, std::uint64_t value) {
    for (int i = 0; i < 8; ++i)
        out[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
}

std::uint64_t number_at(const std::uint8_t* in) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
        value = value << 8 | in[i];
    return value;
}

void set_key(siv_cmac_aes256_ctx& context, const SwarmKey& key, std::string_view purpose) {
    const Bytes derived = derive_key(key, purpose, SIV_CMAC_AES256_KEY_SIZE);
    siv_cmac_aes256_set_key(&context, derived.data());
}

}  // namespace

struct Sealer::Cipher {
    siv_cmac_aes256_ctx context;
};
struct Opener::Cipher {
    siv_cmac_aes256_ctx context;
};

bool is_private_use(const Endpoint& endpoint) {
    const auto& a = endpoint.address;
    if (!endpoint.is_v4()) return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
    const std::uint8_t* const v4 = a.data() + 12;
    return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
           (v4[0] == 192 && v4[1] == 168) || (v4[0] == 100 && (v4[1] & 0xc0) == 64) ||
           (v4[0] == 169 && v4[1] == 254);
}

bool is_for(const Endpoint& destination, const Endpoint& local) {
    // Which link that is says nothing to others.
    if (destination == with_zone(local, 0)) return true;
    return is_private_use(local) && !is_private_use(destination) && !destination.is_loopback() &&
           destination.is_v4() == local.is_v4();
}

Sealer::Sealer(const SwarmKey& key, std::string_view purpose)
    : cipher_(std::make_unique<Cipher>()) {
    set_key(cipher_->context, key, purpose);
    random_bytes(sender_);
}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;

void Sealer::seal(ByteView payload, const Endpoint& destination, WallTime now, Bytes& out) {
    Bytes inside(header_bytes + payload.size());
    std::ranges::copy(with_zone(destination, 0).address, inside.begin());
    inside[16] = static_cast<std::uint8_t>(destination.port >> 8);
    inside[17] = static_cast<std::uint8_t>(destination.port);
    put_number(inside.data() + 18, to_unix_ms(now));
    std::ranges::copy(payload, inside.begin() + header_bytes);

    out.resize(nonce_bytes + SIV_DIGEST_SIZE + inside.size());
    std::ranges::copy(sender_, out.begin());
    put_number(out.data() + 8, ++sequence_);
    siv_cmac_aes256_encrypt_message(&cipher_->context, nonce_bytes, out.data(), 0, nullptr,
                                    SIV_DIGEST_SIZE + inside.size(), out.data() + nonce_bytes,
                                    inside.data());
}

Opener::Opener(const SwarmKey& key, std::string_view purpose, std::optional<WallTime> refuse_before)
    : cipher_(std::make_unique<Cipher>()), refuse_before_(refuse_before) {
    set_key(cipher_->context, key, purpose);
}
Opener::~Opener() = default;
Opener::Opener(Opener&&) noexcept = default;
Opener& Opener::operator=(Opener&&) noexcept = default;

bool Opener::open(ByteView sealed, const Endpoint& local, WallTime now, Bytes& payload) {
    if (sealed.size() < seal_overhead) return false;
    Bytes inside(sealed.size() - nonce_bytes - SIV_DIGEST_SIZE);
    if (siv_cmac_aes256_decrypt_message(&cipher_->context, nonce_bytes, sealed.data(), 0, nullptr,
                                        inside.size(), inside.data(),
                                        sealed.data() + nonce_bytes) == 0)
        return false;
    Endpoint destination;
    std::copy_n(inside.begin(), 16, destination.address.begin());
    destination.port = static_cast<std::uint16_t>(inside[16] << 8 | inside[17]);
    if (!is_for(destination, local)) return false;
    const std::uint64_t sealed_ms = number_at(inside.data() + 18);
    if (sealed_ms > unix_ms_max) return false;
    const WallTime sealed_at = from_unix_ms(sealed_ms);
    if (sealed_at + clock_tolerance < now || sealed_at > now + clock_tolerance) return false;
    if (refuse_before_ && sealed_at < *refuse_before_) return false;

    const std::uint64_t id = number_at(sealed.data());
    const std::uint64_t sequence = number_at(sealed.data() + 8);
    if (sequence == 0) return false;
    if (senders_.size() >= limits::sealers_max && !senders_.contains(id)) make_room(now);
    Sender& sender = senders_[id];
    if (!take(sender, sequence)) return false;
    sender.latest = std::max(sender.latest, sealed_at);
    payload.assign(inside.begin() + header_bytes, inside.end());
    return true;
}

bool Opener::take(Sender& sender, std::uint64_t sequence) {
    if (sequence + window <= sender.highest) return false;
    const auto word = [&sender](std::uint64_t number) -> std::uint64_t& {
        return sender.seen[number % window / 64];
    };
    const auto bit = [](std::uint64_t number) { return std::uint64_t{1} << (number % 64); };
    if (sequence > sender.highest) {
        if (sequence - sender.highest >= window)
            sender.seen.fill(0);
        else
            for (auto skipped = sender.highest + 1; skipped < sequence; ++skipped)
                word(skipped) &= ~bit(skipped);
        sender.highest = sequence;
        word(sequence) |= bit(sequence);
        return true;
    }
    if ((word(sequence) & bit(sequence)) != 0) return false;
    word(sequence) |= bit(sequence);
    return true;
}

void Opener::make_room(WallTime now) {
    std::erase_if(senders_,
                  [now](const auto& entry) { return entry.second.latest + clock_tolerance < now; });
    if (senders_.size() < limits::sealers_max) return;
    const auto oldest = std::ranges::min_element(
        senders_, {}, [](const auto& entry) { return entry.second.latest; });
    senders_.erase(oldest);
}

}  // namespace flow29::core
