// SPDX-License-Identifier: GPL-3.0-or-later
#include "dht/datagram_guard.hpp"

#include <string_view>

#include <flow29/limits.hpp>
#include "dht/record_rules.hpp"
#include "dht/wire_cursor.hpp"

namespace flow29::dht {
namespace {

constexpr std::size_t position_bytes = 20;
constexpr std::size_t contacts_max = 8;  // SEND_NODES
constexpr std::size_t contact4_bytes = position_bytes + 4 + 2;
constexpr std::size_t contact6_bytes = position_bytes + 16 + 2;
constexpr std::size_t token_bytes_max = 64;
constexpr std::size_t values_per_reply_max = 8;
// A store holds records_per_key_max; what has expired there may not have been swept out yet.
constexpr std::size_t ids_per_reply_max = 2 * limits::records_per_key_max;
constexpr std::size_t query_items_max = 4;
constexpr std::uint64_t unix_seconds_max = 1ULL << 34;  // beyond it from_time_t overflows

enum ValueField : std::uint64_t { field_id = 1, field_type = 2, field_sequence = 4 };

/// The keys seen in one map, so that none comes twice and none that is due is missing.
class Seen {
  public:
    /// False when `field` was there before.
    bool add(unsigned field) {
        const bool fresh = (fields_ & field) == 0;
        fields_ |= field;
        return fresh;
    }
    [[nodiscard]] bool has(unsigned field) const { return (fields_ & field) == field; }
    [[nodiscard]] bool within(unsigned allowed) const { return (fields_ & ~allowed) == 0; }

  private:
    unsigned fields_ = 0;
};

template <class Field>
struct Key {
    std::string_view name;
    Field field;
};

/// Reads a key of `table`; 0, and a failed cursor, when it is not there or came before.
template <class Field, std::size_t Size>
unsigned read_key(WireCursor& in, const Key<Field> (&table)[Size], Seen& seen) {
    const std::string_view name = in.str(8);
    for (const auto& [known, field] : table)
        if (in.ok() && name == known && seen.add(field)) return field;
    in.fail();
    return 0;
}

enum Body : unsigned {
    body_id = 1,
    body_key = 1 << 1,
    body_target = 1 << 2,
    body_query = 1 << 3,
    body_token = 1 << 4,
    body_value_id = 1 << 5,
    body_contacts4 = 1 << 6,
    body_contacts6 = 1 << 7,
    body_created = 1 << 8,
    body_address = 1 << 9,
    body_values = 1 << 10,
    body_fields = 1 << 11,
    body_want = 1 << 12,
};
constexpr Key<Body> body_keys[] = {
    {"id", body_id},       {"h", body_key},        {"target", body_target}, {"q", body_query},
    {"token", body_token}, {"vid", body_value_id}, {"n4", body_contacts4},  {"n6", body_contacts6},
    {"c", body_created},   {"sa", body_address},   {"values", body_values}, {"fileds", body_fields},
    {"w", body_want},
};

enum Top : unsigned {
    top_kind = 1,
    top_query = 1 << 1,
    top_arguments = 1 << 2,
    top_reply = 1 << 3,
    top_error = 1 << 4,
    top_transaction = 1 << 5,
    top_agent = 1 << 6,
    top_network = 1 << 7,
    top_client = 1 << 8,
};
constexpr Key<Top> top_keys[] = {
    {"y", top_kind},  {"q", top_query},   {"a", top_arguments},
    {"r", top_reply}, {"e", top_error},   {"t", top_transaction},
    {"v", top_agent}, {"n", top_network}, {"s", top_client},
};

/// What must be known about an `a` or `r` map to judge the whole.
struct BodyFacts {
    Seen seen;
    std::size_t values = 0;
    bool query_is_narrow = false;
    std::size_t id_offset = 0;
    std::size_t contacts4_offset = 0;
    std::size_t contacts4_bytes = 0;
    std::size_t contacts6_offset = 0;
    std::size_t contacts6_bytes = 0;
};

bool is_numeric_field(std::uint64_t field) {
    return field == field_id || field == field_type || field == field_sequence;
}

void check_position(WireCursor& in) {
    if (in.bin(position_bytes).size() != position_bytes) in.fail();
}

/// {id, dat: {body: {type, data}}}: unsigned, not encrypted, of a type of ours.
void check_value(WireCursor& in) {
    enum Part : unsigned { part_id = 1, part_envelope = 2, part_type = 4, part_data = 8 };
    constexpr Key<Part> outer[] = {{"id", part_id}, {"dat", part_envelope}};
    constexpr Key<Part> inner[] = {{"type", part_type}, {"data", part_data}};
    Seen seen;
    if (in.map(2) != 2) in.fail();
    for (int i = 0; i < 2 && in.ok(); ++i) {
        if (read_key(in, outer, seen) == part_id) {
            if (in.uint(~std::uint64_t{0}) == 0) in.fail();
            continue;
        }
        if (in.map(1) != 1 || in.str(8) != "body" || in.map(2) != 2) in.fail();
        for (int j = 0; j < 2 && in.ok(); ++j) {
            if (read_key(in, inner, seen) == part_data) {
                in.bin(record_payload_bytes_max);
                continue;
            }
            const std::uint64_t type = in.uint(0xffff);
            if (type != static_cast<std::uint64_t>(RecordType::provider) &&
                type != static_cast<std::uint64_t>(RecordType::node))
                in.fail();
        }
    }
}

/// {s: [field...], w: [{f: field, v: number}...]}; true when it cannot ask for all values whole.
bool check_query(WireCursor& in) {
    enum Part : unsigned { part_select = 1, part_where = 2, part_field = 4, part_value = 8 };
    constexpr Key<Part> outer[] = {{"s", part_select}, {"w", part_where}};
    constexpr Key<Part> inner[] = {{"f", part_field}, {"v", part_value}};
    bool narrow = false;
    Seen seen;
    if (in.map(2) != 2) in.fail();
    for (int i = 0; i < 2 && in.ok(); ++i) {
        if (read_key(in, outer, seen) == part_select) {
            const std::size_t fields = in.array(query_items_max);
            for (std::size_t j = 0; j < fields && in.ok(); ++j)
                if (!is_numeric_field(in.uint(field_sequence))) in.fail();
            narrow = narrow || fields > 0;
            continue;
        }
        const std::size_t filters = in.array(query_items_max);
        for (std::size_t j = 0; j < filters && in.ok(); ++j) {
            Seen seen_here;
            if (in.map(2) != 2) in.fail();
            for (int k = 0; k < 2 && in.ok(); ++k) {
                if (read_key(in, inner, seen_here) == part_value) {
                    in.uint(~std::uint64_t{0});
                    continue;
                }
                const std::uint64_t field = in.uint(field_sequence);
                if (field != field_id && field != field_type) in.fail();
                narrow = narrow || field == field_id;
            }
        }
    }
    return narrow;
}

/// {f: [field...], v: [number...]}: the selected fields of some values, row by row.
void check_fields(WireCursor& in) {
    enum Part : unsigned { part_fields = 1, part_rows = 2 };
    constexpr Key<Part> keys[] = {{"f", part_fields}, {"v", part_rows}};
    std::size_t columns = 0;
    std::size_t cells = 0;
    Seen seen;
    if (in.map(2) != 2) in.fail();
    for (int i = 0; i < 2 && in.ok(); ++i) {
        if (read_key(in, keys, seen) == part_fields) {
            std::uint64_t before = 0;
            columns = in.array(query_items_max);
            for (std::size_t j = 0; j < columns && in.ok(); ++j) {
                const std::uint64_t field = in.uint(field_sequence);
                if (!is_numeric_field(field) || field <= before) in.fail();
                before = field;
            }
            continue;
        }
        cells = in.array(query_items_max * ids_per_reply_max);
        for (std::size_t j = 0; j < cells && in.ok(); ++j)
            in.uint(~std::uint64_t{0});
    }
    if (columns == 0 || cells % columns != 0 || cells / columns > ids_per_reply_max) in.fail();
}

void check_contacts(WireCursor& in, std::size_t each, BodyFacts& facts) {
    const ByteView contacts = in.bin(contacts_max * each);
    if (contacts.size() % each != 0) in.fail();
    const bool is_v4 = each == contact4_bytes;
    (is_v4 ? facts.contacts4_offset : facts.contacts6_offset) = in.position() - contacts.size();
    (is_v4 ? facts.contacts4_bytes : facts.contacts6_bytes) = contacts.size();
}

void check_body_field(WireCursor& in, unsigned field, BodyFacts& facts) {
    switch (field) {
        case body_id:
            check_position(in);
            facts.id_offset = in.position() - (in.ok() ? position_bytes : 0);
            return;
        case body_key:
        case body_target:
            return check_position(in);
        case body_query:
            facts.query_is_narrow = check_query(in);
            return;
        case body_token:
            in.bin(token_bytes_max);
            return;
        case body_value_id:
            in.uint(~std::uint64_t{0});
            return;
        case body_contacts4:
            return check_contacts(in, contact4_bytes, facts);
        case body_contacts6:
            return check_contacts(in, contact6_bytes, facts);
        case body_created:
            in.uint(unix_seconds_max);
            return;
        case body_address: {
            const std::size_t size = in.bin(16).size();
            if (size != 4 && size != 16) in.fail();
            return;
        }
        case body_values:
            facts.values = in.array(values_per_reply_max);
            for (std::size_t i = 0; i < facts.values && in.ok(); ++i)
                check_value(in);
            return;
        case body_fields:
            return check_fields(in);
        case body_want: {
            const std::size_t families = in.array(2);
            for (std::size_t i = 0; i < families && in.ok(); ++i)
                in.uint(0xff);
            return;
        }
        default:
            in.fail();
    }
}

void check_body(WireCursor& in, BodyFacts& facts) {
    const std::size_t pairs = in.map(std::size(body_keys));
    for (std::size_t i = 0; i < pairs && in.ok(); ++i) {
        const unsigned field = read_key(in, body_keys, facts.seen);
        if (in.ok()) check_body_field(in, field, facts);
    }
}

struct TopFacts {
    Seen seen;
    std::string_view kind;
    std::string_view query;
    std::uint64_t network = 0;
    bool client = false;
    BodyFacts body;
};

void check_top_field(WireCursor& in, unsigned field, TopFacts& facts) {
    switch (field) {
        case top_kind:
            facts.kind = in.str(1);
            return;
        case top_query:
            facts.query = in.str(4);
            return;
        case top_arguments:
        case top_reply:
            // One body only: `a` and `r` together are refused by the allowed sets below, but their
            // facts must not mix before that.
            if (facts.seen.has(top_arguments | top_reply)) return in.fail();
            return check_body(in, facts.body);
        case top_error:
            if (in.array(2) != 2) return in.fail();
            in.uint(0xffff);
            in.str(limits::error_text_bytes_max);
            return;
        case top_transaction:
            in.uint(0xffff'ffff);
            return;
        case top_agent:
            in.str(16);
            return;
        case top_network:
            facts.network = in.uint(0xffff'ffff);
            return;
        case top_client:
            facts.client = in.boolean();
            return;
        default:
            in.fail();
    }
}

std::optional<DatagramKind> kind_of_query(const TopFacts& top) {
    const BodyFacts& body = top.body;
    if (top.query == "ping" && body.seen.within(body_id)) return DatagramKind::ping;
    if (top.query == "find" && body.seen.has(body_target) &&
        body.seen.within(body_id | body_target | body_want))
        return DatagramKind::find;
    if (top.query == "get" && body.seen.has(body_key | body_query) && body.query_is_narrow &&
        body.seen.within(body_id | body_key | body_query | body_want))
        return DatagramKind::get;
    if (top.query == "put" && body.seen.has(body_key | body_values | body_token) &&
        body.values == 1 &&
        body.seen.within(body_id | body_key | body_values | body_token | body_created))
        return DatagramKind::put;
    return std::nullopt;
}

std::optional<DatagramKind> kind_of(const TopFacts& top) {
    constexpr unsigned always = top_kind | top_transaction;
    constexpr unsigned envelope = always | top_agent | top_network | top_client;
    constexpr unsigned reply_body = body_id | body_address | body_contacts4 | body_contacts6 |
                                    body_token | body_values | body_fields | body_value_id;
    if (!top.seen.has(always) || !top.body.seen.has(body_id)) return std::nullopt;
    if (top.kind == "q" && top.seen.has(top_query | top_arguments) &&
        top.seen.within(envelope | top_query | top_arguments))
        return kind_of_query(top);
    if (top.kind == "r" && top.seen.has(top_reply) && top.seen.within(envelope | top_reply) &&
        top.body.seen.within(reply_body) && !top.body.seen.has(body_values | body_fields))
        return DatagramKind::reply;
    if (top.kind == "e" && top.seen.has(top_error | top_reply) &&
        top.seen.within(envelope | top_error | top_reply) && top.body.seen.within(body_id))
        return DatagramKind::error;
    return std::nullopt;
}

}  // namespace

std::optional<GuardedDatagram> guard_datagram(ByteView datagram, std::uint32_t network) noexcept {
    if (datagram.size() > limits::datagram_bytes_max) return std::nullopt;
    WireCursor in(datagram);
    TopFacts top;
    const std::size_t pairs = in.map(std::size(top_keys));
    for (std::size_t i = 0; i < pairs && in.ok(); ++i) {
        const unsigned field = read_key(in, top_keys, top.seen);
        if (in.ok()) check_top_field(in, field, top);
    }
    if (!in.at_end() || top.network != network) return std::nullopt;
    const auto kind = kind_of(top);
    if (!kind) return std::nullopt;
    return GuardedDatagram{*kind,
                           top.client,
                           top.body.id_offset,
                           top.body.contacts4_offset,
                           top.body.contacts4_bytes,
                           top.body.contacts6_offset,
                           top.body.contacts6_bytes};
}

bool flag_as_client(ByteView datagram, Bytes& flagged) {
    constexpr std::uint8_t flag[] = {0xa1, 's', 0xc3};
    if (datagram.empty()) return false;
    std::size_t head_bytes = 1;
    std::size_t pairs = datagram[0] & 0x0fU;
    if ((datagram[0] & 0xf0U) != 0x80) {
        if (datagram[0] != 0xde || datagram.size() < 3) return false;
        head_bytes = 3;
        pairs = static_cast<std::size_t>(datagram[1] << 8 | datagram[2]);
        if (pairs == 0xffff) return false;
    }
    ++pairs;
    flagged.clear();
    flagged.reserve(datagram.size() + 2 + sizeof flag);
    if (pairs < 16) {
        flagged.push_back(static_cast<std::uint8_t>(0x80 | pairs));
    } else {
        flagged.push_back(0xde);
        flagged.push_back(static_cast<std::uint8_t>(pairs >> 8));
        flagged.push_back(static_cast<std::uint8_t>(pairs & 0xff));
    }
    flagged.insert(flagged.end(), std::begin(flag), std::end(flag));
    const ByteView rest = datagram.subspan(head_bytes);
    flagged.insert(flagged.end(), rest.begin(), rest.end());
    return true;
}

}  // namespace flow29::dht
