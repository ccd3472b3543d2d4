// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/id_proofs.hpp"

#include <algorithm>
#include <string_view>

#include <flow29/limits.hpp>
#include "core/descriptor.hpp"
#include "core/hash.hpp"
#include "core/link_local.hpp"
#include "core/seal.hpp"

namespace flow29::dht {
namespace {

constexpr std::string_view domain = "flow29/dht-id/1";
constexpr std::string_view client_domain = "flow29/dht-client/1";
constexpr std::size_t key_bytes = 32;
constexpr std::size_t destination_bytes = 16 + 2;
constexpr std::size_t time_bytes = 8;
constexpr std::size_t said_bytes = destination_bytes + time_bytes;
constexpr std::uint64_t unix_ms_max = std::uint64_t{1} << 52;
constexpr std::uint8_t proof_head[] = {0xa1, 'k', 0xc4, IdProofs::proof_bytes};
static_assert(proof_field_bytes == sizeof proof_head + IdProofs::proof_bytes);

void append(Bytes& out, const core::Endpoint& endpoint) {
    const auto address = core::with_zone(endpoint, 0).address;
    out.insert(out.end(), address.begin(), address.end());
    out.push_back(static_cast<std::uint8_t>(endpoint.port >> 8));
    out.push_back(static_cast<std::uint8_t>(endpoint.port & 0xff));
}

void append(Bytes& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// What is signed of a proof that says this.
Bytes signed_octets(ByteView said) {
    Bytes message;
    message.reserve(domain.size() + said.size());
    message.assign(domain.begin(), domain.end());
    message.insert(message.end(), said.begin(), said.end());
    return message;
}

core::Endpoint destination_at(ByteView said) {
    core::Endpoint endpoint;
    std::copy_n(said.begin(), endpoint.address.size(), endpoint.address.begin());
    endpoint.port = static_cast<std::uint16_t>(said[16] << 8 | said[17]);
    return endpoint;
}

std::uint64_t time_at(ByteView said) {
    std::uint64_t unix_ms = 0;
    for (const auto octet : said.subspan(destination_bytes, time_bytes))
        unix_ms = unix_ms << 8 | octet;
    return unix_ms;
}

DhtKey client_id(const core::Endpoint& from) {
    Bytes address;
    append(address, from);
    return core::dht_key(client_domain, address);
}

}  // namespace

bool IdProofs::admit(const ClaimedId& claimed, ByteView proof, const Arrival& arrival) {
    if (claimed.is_client) {
        std::ranges::copy(client_id(arrival.from).bytes, claimed.octets.begin());
        return true;
    }
    DhtKey id;
    std::ranges::copy(claimed.octets, id.bytes.begin());
    const auto known = proven_.find(arrival.from);
    const bool is_known = known != proven_.end() && known->second.id == id &&
                          arrival.now - known->second.at < proof_lasts;
    // One that is known is not looked at again before half of its time is over.
    const bool is_fresh = is_known && arrival.now - known->second.at < proof_lasts / 2;
    const bool proved = !proof.empty() && !is_fresh && is_proof(proof, id, arrival);
    if (proved) remember(id, arrival);
    if (!is_known && !proved) return false;
    note_heard(arrival.from, !proof.empty(), arrival.now);
    return true;
}

bool IdProofs::is_proof(ByteView proof, const DhtKey& id, const Arrival& arrival) {
    if (proof.size() != proof_bytes) return false;
    PublicKey key;
    std::copy_n(proof.begin(), key_bytes, key.bytes.begin());
    if (core::dht_position(core::node_id_of(key)) != id) return false;
    const ByteView said = proof.subspan(key_bytes, said_bytes);
    const auto unix_ms = time_at(said);
    if (unix_ms > unix_ms_max || !core::is_for(destination_at(said), arrival.at)) return false;
    const auto age = arrival.wall_now - from_unix_ms(unix_ms);
    const auto tolerance = proof_renewed + limits::record_clock_tolerance;
    if (age > tolerance || age < -limits::record_clock_tolerance) return false;
    if (!may_check(arrival.from.group(), arrival.now)) return false;
    ++signatures_checked_;
    Signature signature;
    std::ranges::copy(proof.subspan(key_bytes + said_bytes), signature.bytes.begin());
    return core::verify_signature(key, signed_octets(said), signature);
}

bool IdProofs::may_check(const core::AddressGroup& group, TimePoint now) {
    if (now >= second_ends_) {
        second_ends_ = now + std::chrono::seconds(1);
        checks_ = 0;
        std::erase_if(groups_, [](const auto& entry) { return entry.second.proven == 0; });
        for (auto& [other, of_group] : groups_)
            of_group.checks = 0;
    }
    if (checks_ >= limits::id_checks_per_second_max) return false;
    auto& of_group = groups_[group].checks;
    if (of_group >= limits::id_checks_per_group_max) return false;
    ++checks_;
    ++of_group;
    return true;
}

void IdProofs::remember(const DhtKey& id, const Arrival& arrival) {
    forget(arrival.from);
    const auto group = arrival.from.group();
    const auto same_group = [&](const auto& aged) { return aged.second.group() == group; };
    if (groups_[group].proven >= limits::ids_proven_per_group_max)
        forget(core::Endpoint(std::ranges::find_if(by_age_, same_group)->second));
    else if (proven_.size() >= limits::ids_proven_max)
        forget(core::Endpoint(by_age_.begin()->second));
    ++groups_[group].proven;
    proven_[arrival.from] = {id, arrival.now, ++last_number_};
    by_age_.emplace(last_number_, arrival.from);
}

void IdProofs::forget(const core::Endpoint& endpoint) {
    const auto found = proven_.find(endpoint);
    if (found == proven_.end()) return;
    --groups_[endpoint.group()].proven;
    by_age_.erase(found->second.number);
    proven_.erase(found);
}

void IdProofs::note_heard(const core::Endpoint& from, bool proved, TimePoint now) {
    const auto told = told_.find(from);
    if (told == told_.end()) return;
    told->second.heard_at = now;
    // It proves itself anew, so it may have started anew and know nothing of this node.
    if (proved) told->second.left = std::max(told->second.left, 1U);
}

ByteView IdProofs::proof_for(const core::Endpoint& to, TimePoint now, WallTime wall_now) {
    if (identity_ == nullptr) return {};
    auto found = told_.find(to);
    const bool is_new = found == told_.end();
    if (is_new) {
        // Of a flood of askers nobody is worth remembering; all that is lost are some signatures.
        if (told_.size() >= limits::id_proofs_made_max) told_.clear();
        found = told_.emplace(to, Told{}).first;
    }
    auto& told = found->second;
    if (is_new || now - told.signed_at >= proof_renewed) {
        Bytes said;
        append(said, to);
        append(said, to_unix_ms(wall_now));
        const auto& key = identity_->public_key().bytes;
        const auto signature = identity_->sign(signed_octets(said));
        told.proof.assign(key.begin(), key.end());
        told.proof.insert(told.proof.end(), said.begin(), said.end());
        told.proof.insert(told.proof.end(), signature.bytes.begin(), signature.bytes.end());
        told.signed_at = now;
        told.heard_at = now;
        told.left = proofs_at_first;
    }
    if (told.left > 0)
        --told.left;
    else if (now - told.heard_at < silence)
        return {};
    return told.proof;
}

bool add_proof(ByteView datagram, ByteView proof, Bytes& out) {
    if (datagram.empty() || (datagram[0] & 0xf0U) != 0x80 || (datagram[0] & 0x0fU) == 0x0f)
        return false;
    out.clear();
    out.reserve(datagram.size() + proof_field_bytes);
    out.push_back(static_cast<std::uint8_t>(datagram[0] + 1));
    out.insert(out.end(), std::begin(proof_head), std::end(proof_head));
    out.insert(out.end(), proof.begin(), proof.end());
    out.insert(out.end(), datagram.begin() + 1, datagram.end());
    return true;
}

std::optional<IdProofs::Proof> take_proof(std::span<std::uint8_t>& datagram) {
    if (datagram.size() < 1 + proof_field_bytes) return std::nullopt;
    const std::uint8_t head = datagram[0];
    if ((head & 0xf0U) != 0x80 || (head & 0x0fU) == 0 ||
        !std::ranges::equal(datagram.subspan(1, sizeof proof_head), proof_head))
        return std::nullopt;
    IdProofs::Proof proof{};
    std::ranges::copy(datagram.subspan(1 + sizeof proof_head, proof.size()), proof.begin());
    // The proof's last octet makes room for the head of the rest.
    datagram = datagram.subspan(proof_field_bytes);
    datagram[0] = static_cast<std::uint8_t>(head - 1);
    return proof;
}

}  // namespace flow29::dht
