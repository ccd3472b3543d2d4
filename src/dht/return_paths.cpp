// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/return_paths.hpp"

#include <algorithm>

#include <flow29/limits.hpp>

#include "core/kdf.hpp"

namespace flow29::dht {
namespace {

// What was given to an asker so that it comes back, and to an answerer so that it does.
constexpr char purpose_pass = 'p';
constexpr char purpose_code = 'c';
constexpr std::size_t code_bytes = PathField::Code{}.size();
constexpr std::uint8_t key_head[] = {0xa1, 'f'};
constexpr std::uint8_t short_octets = 0xc4;
constexpr std::uint8_t long_octets = 0xc5;

std::int64_t period_of(TimePoint now) {
    return now.time_since_epoch() / ReturnPaths::code_lasts;
}

bool is_pass(const PathField& field) {
    return !field.second && field.filler == 0;
}

}  // namespace

PathField::Code ReturnPaths::code(char purpose, const core::Endpoint& endpoint,
                                  std::int64_t period) const {
    std::array<std::uint8_t, 1 + 2 + 8> rest{};
    rest[0] = static_cast<std::uint8_t>(purpose);
    rest[1] = static_cast<std::uint8_t>(endpoint.port >> 8);
    rest[2] = static_cast<std::uint8_t>(endpoint.port & 0xff);
    for (std::size_t i = 0; i < 8; ++i)
        rest[3 + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(period) >> 8 * i);
    const auto mac = core::hmac_sha256(secret_, {endpoint.address, rest});
    PathField::Code result{};
    std::copy_n(mac.begin(), result.size(), result.begin());
    return result;
}

bool ReturnPaths::is_code(const PathField::Code& shown, char purpose,
                          const core::Endpoint& endpoint, TimePoint now) const {
    const auto period = period_of(now);
    return shown == code(purpose, endpoint, period) || shown == code(purpose, endpoint, period - 1);
}

void ReturnPaths::on_question(const core::Endpoint& from, const std::optional<PathField>& field,
                              std::size_t octets, TimePoint now) {
    if (askers_.size() >= limits::return_paths_max && !askers_.contains(from)) askers_.clear();
    auto& asker = askers_[from];
    // An answer that has not gone by then does not go any more.
    if (now - asker.at >= credit_lasts)
        asker = {.shown_at = asker.shown_at, .beyond_at = asker.beyond_at};
    asker.at = now;
    if (field && is_pass(*field) && is_code(field->first, purpose_pass, from, now)) {
        asker.shown_at = now;
        asker.due = std::min(asker.due + 1, limits::answers_due_max);
        return;
    }
    asker.credit = std::min(asker.credit + answer_factor * octets, limits::answer_credit_max);
    if (field && !is_pass(*field)) asker.code = field->first;
}

void ReturnPaths::on_answer(const core::Endpoint& from, const std::optional<PathField>& field,
                            TimePoint now) {
    if (field && field->second && field->filler == 0 &&
        is_code(field->first, purpose_code, from, now)) {
        if (asked_.size() >= limits::return_paths_max && !asked_.contains(from)) asked_.clear();
        asked_[from] = {*field->second, now};
        return;
    }
    const auto found = asked_.find(from);
    if (found != asked_.end()) found->second.waits_since.reset();
}

PathField ReturnPaths::field_of_question(const core::Endpoint& to, DatagramKind kind,
                                         std::size_t octets, TimePoint now) {
    const auto found = asked_.find(to);
    if (found != asked_.end()) {
        auto& asked = found->second;
        if (asked.waits_since && now - *asked.waits_since >= answer_due) asked.is_doubtful = true;
        if (!asked.is_doubtful && now - asked.given_at < code_lasts) {
            if (!asked.waits_since) asked.waits_since = now;
            return {asked.pass};
        }
    }
    const std::size_t with_field = octets + 4 + code_bytes;
    const std::size_t least = asked_with(kind);
    PathField field{code(purpose_code, to, period_of(now))};
    // Without any it would be a pass.
    field.filler = 1 + (with_field < least ? least - with_field : 0);
    return field;
}

bool ReturnPaths::may_ask(const core::Endpoint& to, DatagramKind kind, std::size_t octets,
                          TimePoint now) {
    if (kind != DatagramKind::ping && kind != DatagramKind::find) return true;
    const auto found = askers_.find(to);
    if (found == askers_.end() || is_shown(to, found->second, now)) return true;
    auto& asker = found->second;
    if (now - asker.at >= credit_lasts) return true;
    if (asker.credit <= octets) {
        if (asker.beyond_at && now - *asker.beyond_at < beyond_again) return false;
        asker.beyond_at = now;
    }
    asker.credit -= std::min(asker.credit, octets);
    return true;
}

bool ReturnPaths::is_shown(const core::Endpoint& endpoint, const Asker& asker,
                           TimePoint now) const {
    if (asker.shown_at && now - *asker.shown_at < shown_lasts) return true;
    const auto found = asked_.find(endpoint);
    return found != asked_.end() && now - found->second.given_at < shown_lasts;
}

std::optional<PathField> ReturnPaths::field_of_answer(const core::Endpoint& to,
                                                      TimePoint now) const {
    const auto found = askers_.find(to);
    if (found == askers_.end() || !found->second.code) return std::nullopt;
    return PathField{*found->second.code, code(purpose_pass, to, period_of(now))};
}

bool ReturnPaths::may_answer(const core::Endpoint& to, std::size_t octets, TimePoint now) {
    const auto found = askers_.find(to);
    if (found == askers_.end() || now - found->second.at >= credit_lasts) return false;
    auto& asker = found->second;
    if (asker.due > 0) {
        --asker.due;
    } else if (asker.credit > octets) {
        asker.credit -= octets;
    } else {
        return false;
    }
    asker.code.reset();
    return true;
}

std::size_t asked_with(DatagramKind kind) {
    switch (kind) {
        case DatagramKind::find:  // answered with contacts, a token and a proof of the answerer
            return 208;
        case DatagramKind::get:  // and with the ids of a full key, or a record
            return 400;
        default:
            return 96;
    }
}

bool add_path_field(ByteView datagram, const PathField& field, Bytes& out) {
    if (datagram.empty() || (datagram[0] & 0xf0U) != 0x80 || (datagram[0] & 0x0fU) == 0x0f)
        return false;
    const std::size_t octets = field.octets();
    if (octets > PathField::octets_max) return false;
    out.clear();
    out.reserve(datagram.size() + octets + 5);
    out.push_back(static_cast<std::uint8_t>(datagram[0] + 1));
    out.insert(out.end(), std::begin(key_head), std::end(key_head));
    if (octets > 0xff) {
        out.push_back(long_octets);
        out.push_back(static_cast<std::uint8_t>(octets >> 8));
    } else {
        out.push_back(short_octets);
    }
    out.push_back(static_cast<std::uint8_t>(octets & 0xff));
    out.insert(out.end(), field.first.begin(), field.first.end());
    if (field.second) out.insert(out.end(), field.second->begin(), field.second->end());
    out.resize(out.size() + field.filler);
    out.insert(out.end(), datagram.begin() + 1, datagram.end());
    return true;
}

std::optional<PathField> take_path_field(std::span<std::uint8_t>& datagram) {
    constexpr std::size_t length_at = 1 + sizeof key_head;
    if (datagram.size() < length_at + 3) return std::nullopt;
    const std::uint8_t head = datagram[0];
    if ((head & 0xf0U) != 0x80 || (head & 0x0fU) == 0 ||
        !std::ranges::equal(datagram.subspan(1, sizeof key_head), key_head))
        return std::nullopt;
    const bool is_long = datagram[length_at] == long_octets;
    if (!is_long && datagram[length_at] != short_octets) return std::nullopt;
    std::size_t octets = datagram[length_at + 1];
    if (is_long) octets = octets << 8 | datagram[length_at + 2];
    const std::size_t begin = length_at + (is_long ? 3 : 2);
    // One written longer than it need be would come back as another.
    if (octets < code_bytes || octets > PathField::octets_max || is_long != (octets > 0xff) ||
        datagram.size() < begin + octets)
        return std::nullopt;
    PathField field;
    std::ranges::copy(datagram.subspan(begin, code_bytes), field.first.begin());
    field.filler = octets - code_bytes;
    if (field.filler >= code_bytes) {
        std::ranges::copy(datagram.subspan(begin + code_bytes, code_bytes),
                          field.second.emplace().begin());
        field.filler -= code_bytes;
    }
    // The field's last octet makes room for the head of the rest.
    datagram = datagram.subspan(begin + octets - 1);
    datagram[0] = static_cast<std::uint8_t>(head - 1);
    return field;
}

}  // namespace flow29::dht
