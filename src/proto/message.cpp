// SPDX-License-Identifier: GPL-3.0-or-later
#include "proto/message.hpp"

#include <flow29/limits.hpp>

#include "core/descriptor.hpp"

#include <array>

namespace flow29::proto {
namespace {

enum class Role { notification, request, reply };

struct Kind {
    std::string_view name;
    Role role;
};

// In the order of Message.
constexpr std::array kinds{
    Kind{"hello", Role::notification},     Kind{"failure", Role::reply},
    Kind{"ping", Role::request},           Kind{"pong", Role::reply},
    Kind{"get_range", Role::request},      Kind{"range_reply", Role::reply},
    Kind{"get_descriptor", Role::request}, Kind{"descriptor_reply", Role::reply},
    Kind{"get_holders", Role::request},    Kind{"holder_table", Role::reply},
    Kind{"have", Role::request},           Kind{"have_reply", Role::reply},
    Kind{"invite", Role::request},         Kind{"invite_reply", Role::reply},
    Kind{"stored", Role::notification},    Kind{"update_holders", Role::notification},
    Kind{"get_closest", Role::request},    Kind{"closest_reply", Role::reply},
    Kind{"update_lease", Role::request},   Kind{"lease_reply", Role::reply},
    Kind{"goodbye", Role::notification},   Kind{"get_leases", Role::request},
    Kind{"leases", Role::reply},           Kind{"get_kept", Role::request},
    Kind{"kept_list", Role::reply},        Kind{"uninvite", Role::notification},
    Kind{"hint", Role::notification},      Kind{"get_hinted", Role::request},
    Kind{"pledge", Role::request},         Kind{"pledge_reply", Role::reply},
    Kind{"room", Role::notification},      Kind{"dial_back", Role::request},
    Kind{"dial_back_reply", Role::reply},  Kind{"update_record", Role::notification},
};
static_assert(kinds.size() == std::variant_size_v<Message>);

void put_u32(std::uint8_t* out, std::uint32_t value) {
    for (int i = 3; i >= 0; --i) {
        out[i] = static_cast<std::uint8_t>(value);
        value >>= 8;
    }
}

std::uint32_t get_u32(const std::uint8_t* in) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
        value = value << 8 | in[i];
    return value;
}

}  // namespace

DhtKey ItemId::key(const core::KeySpace& keys) const {
    return kind == Kind::descriptor ? keys.root_key(root()) : keys.extent_key(extent());
}

std::string_view message_name(const Message& message) {
    return kinds[message.index()].name;
}

bool is_request(const Message& message) {
    return kinds[message.index()].role == Role::request;
}

bool is_reply(const Message& message) {
    return kinds[message.index()].role == Role::reply;
}

std::array<std::uint8_t, FrameLengths::size> FrameLengths::encode() const {
    std::array<std::uint8_t, size> raw{};
    put_u32(raw.data(), head);
    put_u32(raw.data() + 4, body);
    return raw;
}

Result<FrameLengths> FrameLengths::decode(std::span<const std::uint8_t, size> raw) {
    const FrameLengths lengths{get_u32(raw.data()), get_u32(raw.data() + 4)};
    if (lengths.head == 0 || lengths.head > limits::frame_head_bytes_max)
        return fail(Errc::peer_misbehaved, "frame head of an impossible length");
    if (lengths.body > limits::frame_body_bytes_max)
        return fail(Errc::peer_misbehaved, "frame body of an impossible length");
    return lengths;
}

}  // namespace flow29::proto
