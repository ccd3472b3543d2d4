// SPDX-License-Identifier: GPL-3.0-or-later
#include "net/swarm_gate.hpp"

namespace flow29::net {
namespace {
constexpr std::string_view knock_purpose = "knock";
constexpr std::size_t key_bytes = 32;
}  // namespace

SwarmGate::SwarmGate(const core::SwarmKey& key, Runtime& runtime)
    : runtime_(runtime),
      sealer_(key, knock_purpose),
      opener_(key, knock_purpose, runtime.wall_now()),
      answer_key_(core::derive_key(key, "knock-answer", key_bytes)),
      proof_key_(core::derive_key(key, "channel-proof", key_bytes)) {}

Bytes SwarmGate::knock(const core::Endpoint& target) {
    Bytes sealed;
    sealer_.seal({}, target, runtime_.wall_now(), sealed);
    return sealed;
}

bool SwarmGate::admits(ByteView knock, const core::Endpoint& local) {
    Bytes payload;
    return opener_.open(knock, local, runtime_.wall_now(), payload) && payload.empty();
}

core::Sha256Digest SwarmGate::answer_to(ByteView knock) const {
    return core::hmac_sha256(answer_key_, {knock});
}

core::Sha256Digest SwarmGate::proof(Role role, ByteView exported) const {
    const Bytes tag{static_cast<std::uint8_t>(role)};
    return core::hmac_sha256(proof_key_, {tag, exported});
}

}  // namespace flow29::net
