// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/record_rules.hpp"

#include <algorithm>

#include "core/descriptor.hpp"
#include "core/link_local.hpp"

namespace flow29::dht {
namespace {

// A full book is searched for expired entries at most this often: a sweep walks all of it.
constexpr auto sweep_interval = std::chrono::minutes(1);

bool same_address(const core::Endpoint& a, const core::Endpoint& b) {
    return core::with_zone(a, 0).address == core::with_zone(b, 0).address;
}

}  // namespace

std::uint64_t node_value_id(const PublicKey& signer, const DhtKey& key) {
    proto::ProviderRecord same_formula;
    same_formula.key = key;
    same_formula.signer = signer;
    return same_formula.value_id();
}

/// What a record says, whichever kind it is.
struct RecordRules::Claim {
    PublicKey signer;
    std::vector<core::Endpoint> addresses;
    std::uint64_t sequence = 0;
    WallTime expires;
};

std::optional<RecordRules::Claim> RecordRules::claim_of(RecordType type, const DhtKey& key,
                                                        std::uint64_t value_id, ByteView octets) {
    if (octets.size() > record_payload_bytes_max) return std::nullopt;
    if (type == RecordType::provider) {
        auto record = proto::ProviderRecord::decode(octets, key);
        if (!record || record->value_id() != value_id) return std::nullopt;
        return Claim{record->signer, {record->address}, record->sequence, record->expires};
    }
    auto record = proto::NodeRecord::decode(octets);
    if (!record || core::node_key(record->node()) != key) return std::nullopt;
    if (node_value_id(record->key, key) != value_id) return std::nullopt;
    return Claim{record->key, std::move(record->addresses), record->sequence, record->expires};
}

bool RecordRules::may_store(const Offer& offer, WallTime now) {
    if (offer.octets.size() > record_payload_bytes_max) return false;
    if (!has_room(offer, now)) return false;
    const auto claim = claim_of(offer.type, offer.key, offer.value_id, offer.octets);
    if (!claim) return false;
    if (!proto::within_record_window(claim->expires, now)) return false;
    if (!may_come_from(*claim, offer.source)) return false;
    enter(offer, claim->expires);
    return true;
}

bool RecordRules::may_replace(const Offer& offer, ByteView stored, WallTime now) {
    if (offer.octets.size() > record_payload_bytes_max) return false;
    if (std::ranges::equal(offer.octets, stored)) return true;
    if (!has_room(offer, now)) return false;
    const auto claim = claim_of(offer.type, offer.key, offer.value_id, offer.octets);
    const auto before = claim_of(offer.type, offer.key, offer.value_id, stored);
    if (!claim || !proto::within_record_window(claim->expires, now)) return false;
    if (!may_come_from(*claim, offer.source)) return false;
    if (before && before->signer != claim->signer) return false;
    if (before && before->sequence >= claim->sequence) return false;
    enter(offer, claim->expires);
    return true;
}

bool RecordRules::has_room(const Offer& offer, WallTime now) {
    if (size_ >= options_.records) sweep(now);
    const auto found = by_key_.find(offer.key);
    if (found == by_key_.end()) return size_ < options_.records;
    drop_expired(found->second, now);
    std::size_t others = 0;
    std::size_t others_in_group = 0;
    for (const Entry& entry : found->second) {
        if (entry.value_id == offer.value_id) continue;
        ++others;
        if (entry.counts_in_group && entry.group == offer.source.group()) ++others_in_group;
    }
    const bool known = others < found->second.size();
    if (!known && size_ >= options_.records) return false;
    if (others >= options_.records_per_key) return false;
    return !counts_in_group(offer.source) || others_in_group < options_.records_per_group;
}

bool RecordRules::may_come_from(const Claim& claim, const core::Endpoint& source) const {
    if (claim.addresses.empty()) return true;
    if (core::node_id_of(claim.signer) == options_.self) return true;
    if (source.is_loopback() && !options_.bound_to_loopback) return true;
    return std::ranges::any_of(claim.addresses, [&source](const core::Endpoint& address) {
        return same_address(address, source);
    });
}

bool RecordRules::counts_in_group(const core::Endpoint& source) const {
    return !(source.is_loopback() && options_.loopback_is_diverse);
}

void RecordRules::drop_expired(Entries& entries, WallTime now) {
    size_ -= std::erase_if(entries, [now](const Entry& entry) { return entry.expires <= now; });
}

void RecordRules::sweep(WallTime now) {
    if (now < next_sweep_) return;
    next_sweep_ = now + sweep_interval;
    for (auto it = by_key_.begin(); it != by_key_.end();) {
        drop_expired(it->second, now);
        it = it->second.empty() ? by_key_.erase(it) : std::next(it);
    }
}

void RecordRules::enter(const Offer& offer, WallTime expires) {
    Entries& entries = by_key_[offer.key];
    const Entry fresh{offer.value_id, offer.source.group(), counts_in_group(offer.source), expires};
    const auto same = std::ranges::find(entries, offer.value_id, &Entry::value_id);
    if (same != entries.end()) {
        *same = fresh;
        return;
    }
    entries.push_back(fresh);
    ++size_;
}

std::optional<proto::ProviderRecord> read_provider(const DhtKey& key, const RawValue& value,
                                                   WallTime now) {
    if (value.type != RecordType::provider) return std::nullopt;
    if (value.octets.size() > record_payload_bytes_max) return std::nullopt;
    auto record = proto::ProviderRecord::decode(value.octets, key);
    if (!record || record->value_id() != value.id) return std::nullopt;
    if (!proto::within_record_window(record->expires, now)) return std::nullopt;
    return std::move(*record);
}

std::optional<proto::NodeRecord> read_node(const DhtKey& key, const RawValue& value, WallTime now) {
    if (value.type != RecordType::node) return std::nullopt;
    if (value.octets.size() > record_payload_bytes_max) return std::nullopt;
    auto record = proto::NodeRecord::decode(value.octets);
    if (!record || core::node_key(record->node()) != key) return std::nullopt;
    if (node_value_id(record->key, key) != value.id) return std::nullopt;
    if (!proto::within_record_window(record->expires, now)) return std::nullopt;
    return std::move(*record);
}

}  // namespace flow29::dht
