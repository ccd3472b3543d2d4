// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/membership.hpp"

#include <algorithm>

#include "core/invite.hpp"
#include "core/log.hpp"
#include "net/resolve.hpp"
#include "node/swarm_files.hpp"

namespace flow29::node {

namespace log = core::log;

namespace {
constexpr std::size_t own_max = 4;
constexpr std::size_t others_max = 2;  // of each kind

/// The addresses of this machine's interfaces, when it listens on whatever it has.
std::vector<core::Endpoint> guess_own(const std::vector<core::Endpoint>& listening) {
    std::vector<core::Endpoint> guessed;
    for (auto endpoint : net::interface_addresses())
        for (const auto& any : listening)
            if (any.is_unspecified() && any.is_v4() == endpoint.is_v4())
                guessed.push_back({endpoint.address, any.port});
    return guessed;
}

}  // namespace

std::vector<std::string> addresses_to_invite(const KnownAddresses& known) {
    std::vector<std::string> chosen;
    const auto take = [&chosen](const std::vector<std::string>& from, std::size_t most) {
        for (const auto& address : from) {
            if (most == 0 || chosen.size() == core::Invite::addresses_max) return;
            if (!core::check_invitable(address) || std::ranges::count(chosen, address) > 0)
                continue;
            chosen.push_back(address);
            --most;
        }
    };
    take(known.own, own_max);
    take(known.configured, others_max);
    take(known.peers, others_max);
    return chosen;
}

asio::awaitable<Result<Invitation>> Membership::invite(std::vector<core::Endpoint> own) {
    KnownAddresses known;
    if (own.empty()) {
        auto guess = [listening = options_.listening] { return guess_own(listening); };
        own = co_await net::offload(services_.runtime, std::move(guess));
    }
    for (const auto& endpoint : own)
        known.own.push_back(endpoint.to_string());
    known.configured = options_.bootstrap;
    for (const auto& peer : peers_.open())
        if (peer->record().storing && !peer->record().addresses.empty())
            known.peers.push_back(peer->record().addresses.front().to_string());

    core::Invite invite;
    invite.addresses = addresses_to_invite(known);
    invite.key = options_.key;
    if (invite.addresses.empty())
        co_return fail(Errc::no_network,
                       "no address is known at which others could reach this node; start it with "
                       "--listen ADDR");
    Invitation invitation;
    invitation.word = invite.to_string();
    invitation.addresses = invite.addresses;
    invitation.is_private = invite.key.has_value();
    co_return invitation;
}

asio::awaitable<Result<Joined>> Membership::join(std::string word) {
    const auto invite = core::Invite::parse(word);
    if (!invite) co_return fail(invite.error());
    if (auto same = check_same_swarm(options_.key, *invite); !same) co_return fail(same.error());
    auto save = [data = options_.data, swarm = core::name_of_swarm(options_.key),
                 addresses = invite->addresses] {
        return remember_addresses(data, swarm, addresses);
    };
    const auto saved = co_await net::offload(services_.runtime, std::move(save));
    if (!saved) co_return fail(saved.error());
    std::vector<core::Endpoint> points;
    for (const auto& address : invite->addresses) {
        auto found = co_await neighbourhood_.find_addresses(address);
        if (found)
            points.insert(points.end(), found->begin(), found->end());
        else
            log::warn("node", "{}: {}", address, found.error().message());
    }
    services_.index.bootstrap(points);
    Joined joined;
    joined.addresses = invite->addresses;
    joined.reached = co_await neighbourhood_.enter(points);
    joined.is_private = invite->key.has_value();
    joined.running = true;
    co_return joined;
}

}  // namespace flow29::node
