// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include <flow29/ids.hpp>
#include "core/endpoint.hpp"
#include "core/swarm_key.hpp"
#include "core/time.hpp"

/// Single messages between members of a private swarm who have no connection yet: the DHT's
/// datagrams, and what is sent before a TLS handshake. To whoever has not the key they are noise.
///
///     sender (8) | sequence (8) | tag (16) | encrypted: destination (16 + 2) | time (8) | payload
///
/// AES-256-SIV (RFC 5297), sender and sequence being its nonce. A nonce that came twice would show
/// that two messages are equal, and nothing else.
namespace flow29::core {

/// What sealing adds to a payload.
inline constexpr std::size_t seal_overhead = 8 + 8 + 16 + 18 + 8;

/// Seals with an id of its own, at random, which stands for one socket of one run of one node.
class Sealer {
  public:
    /// What is sealed for one purpose opens for no other.
    Sealer(const SwarmKey& key, std::string_view purpose);
    ~Sealer();
    Sealer(Sealer&&) noexcept;
    Sealer& operator=(Sealer&&) noexcept;

    /// `destination`: where it is sent. Overwrites `out`, which is not `payload`'s.
    void seal(ByteView payload, const Endpoint& destination, WallTime now, Bytes& out);

  private:
    struct Cipher;
    std::unique_ptr<Cipher> cipher_;
    std::array<std::uint8_t, 8> sender_{};
    std::uint64_t sequence_ = 0;
};

/// Opens what members sealed, each message once.
///
/// Rules:
/// 1. It must be for this node: see is_for. Rationale: else one recorded on its way to another
///    member could be shown to this one, from an address of the recorder's choice.
/// 2. It was sealed at most `clock_tolerance` ago or ahead, by both clocks, and not before
///    `refuse_before`. Rationale: what was seen is remembered no longer, and not over a restart.
/// 3. Its sequence was not seen from its sender, and is at most `window` behind the highest seen.
///    Rationale: datagrams overtake each other, by far fewer.
/// 4. At most limits::sealers_max senders are remembered; those whose messages are too old by rule
///    2 go first, then those that were heard longest ago. Only members take up room.
class Opener {
  public:
    static constexpr std::uint64_t window = 1024;
    static constexpr auto clock_tolerance = std::chrono::minutes(10);

    Opener(const SwarmKey& key, std::string_view purpose,
           std::optional<WallTime> refuse_before = std::nullopt);
    ~Opener();
    Opener(Opener&&) noexcept;
    Opener& operator=(Opener&&) noexcept;

    /// Writes what is inside to `payload` and says true, or says false. `local`: the address at
    /// which it came. Nothing is remembered of what is refused.
    [[nodiscard]] bool open(ByteView sealed, const Endpoint& local, WallTime now, Bytes& payload);

    [[nodiscard]] std::size_t senders() const { return senders_.size(); }

  private:
    struct Cipher;
    struct Sender {
        std::uint64_t highest = 0;
        std::array<std::uint64_t, window / 64> seen{};  ///< bit `sequence % window`
        WallTime latest{};                              ///< of those it sealed
    };
    [[nodiscard]] static bool take(Sender& sender, std::uint64_t sequence);
    void make_room(WallTime now);

    std::unique_ptr<Cipher> cipher_;
    std::optional<WallTime> refuse_before_;
    std::unordered_map<std::uint64_t, Sender> senders_;
};

/// An address for private use: RFC 1918, 6598, 3927, 4193 and link-local ones of IPv6.
[[nodiscard]] bool is_private_use(const Endpoint& endpoint);

/// True when what was sent to `destination` and came at `local` is for `local`: they are the same;
/// or `local` is for private use (RFC 1918, 6598, 4193) and `destination` is not, because behind an
/// address translation nobody knows by what address others see him.
[[nodiscard]] bool is_for(const Endpoint& destination, const Endpoint& local);

}  // namespace flow29::core
