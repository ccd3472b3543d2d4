// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/endpoint.hpp"
#include "api/web_address.hpp"
#include "core/link_local.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

void check(const core::Endpoint& endpoint) {
    const auto again = core::Endpoint::parse(endpoint.to_string());
    FLOW29_ASSERT(again && *again == endpoint);
    const auto octets = endpoint.octets();
    FLOW29_ASSERT(octets.size() == (endpoint.is_v4() ? 4U : 16U));
    const auto from_octets = core::Endpoint::from_octets(octets, endpoint.port);
    // Which link it is of stays on this machine.
    FLOW29_ASSERT(from_octets && *from_octets == core::with_zone(endpoint, 0));
    FLOW29_ASSERT(endpoint.port != 0 || endpoint.is_unspecified());
}

}  // namespace

/// An address, as text and as octets, is the same after both ways.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::text_of(data, size);
    if (const auto endpoint = core::Endpoint::parse(text))
        check(*endpoint);
    else
        FLOW29_ASSERT(endpoint.error().code == Errc::usage);
    const auto web = api::parse_web_address(text);
    FLOW29_ASSERT(web || web.error().code == Errc::usage);
    if (web && *web) FLOW29_ASSERT(api::url_of(**web) == "http://" + (*web)->to_string());
    const auto octets = core::Endpoint::from_octets({data, size}, 2929);
    FLOW29_ASSERT(octets.has_value() == (size == 4 || size == 16));
    if (octets) check(*octets);
    return 0;
}
