// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace flow29::hostile {

/// In which way a node is hostile; in everything else it does what an honest one does.
enum class Behaviour {
    wrong_byte,            ///< changes one bit of each range, under the true proof
    wrong_proof,           ///< sends the true bytes under another proof
    short_reply,           ///< sends a byte less than asked
    long_reply,            ///< sends a byte more than asked
    other_chunk,           ///< sends other chunks of the same extent, with their own true proof
    claims_and_lacks,      ///< says that it keeps whatever it is asked for, and has nothing
    accepts_and_deletes,   ///< takes what it is invited to keep, says so, and has it no more
    stalls,                ///< stays connected, and never answers who asks it for data
    one_byte_a_second,     ///< sends so slowly, octet by octet of its TLS records
    floods_requests,       ///< asks as much as it may all the time, and at times more than it may
    floods_connections,    ///< opens connections and says nothing on them
    lies_about_addresses,  ///< names nodes that do not exist, and addresses where nobody answers
    reads_nothing,         ///< asks for all it may, under many names, and takes nothing of it
    msgpack_bombs,         ///< sends what would unpack to gigabytes, or nests without end
};

struct NamedBehaviour {
    std::string_view name;
    Behaviour behaviour;
};
inline constexpr std::array<NamedBehaviour, 14> behaviours{{
    {"wrong-byte", Behaviour::wrong_byte},
    {"wrong-proof", Behaviour::wrong_proof},
    {"short", Behaviour::short_reply},
    {"long", Behaviour::long_reply},
    {"other-chunk", Behaviour::other_chunk},
    {"claims-and-lacks", Behaviour::claims_and_lacks},
    {"accepts-and-deletes", Behaviour::accepts_and_deletes},
    {"stalls", Behaviour::stalls},
    {"one-byte-a-second", Behaviour::one_byte_a_second},
    {"floods-requests", Behaviour::floods_requests},
    {"floods-connections", Behaviour::floods_connections},
    {"lies-about-addresses", Behaviour::lies_about_addresses},
    {"reads-nothing", Behaviour::reads_nothing},
    {"msgpack-bombs", Behaviour::msgpack_bombs},
}};

}  // namespace flow29::hostile
