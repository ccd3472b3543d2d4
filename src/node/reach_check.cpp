// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/reach_check.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "net/resolve.hpp"
#include "node/gather.hpp"

namespace flow29::node {

namespace log = core::log;

namespace {
constexpr std::size_t judges_max = 3;  // asked at a time
constexpr Duration pause_min = std::chrono::seconds(1);
constexpr std::string_view reachable_setting = "reachable";

using Answer = std::optional<bool>;

asio::awaitable<Answer> ask_one(net::PeerPtr peer, std::uint16_t port) {
    proto::Message question = proto::DialBack{port};
    const auto reply = co_await peer->request(std::move(question), limits::request_idle_timeout);
    const auto* answer = reply ? std::get_if<proto::DialBackReply>(&reply->message) : nullptr;
    if (answer == nullptr) co_return std::nullopt;
    co_return answer->reached;
}

bool was_reachable(store::Store& store) {
    const auto saved = store.setting(reachable_setting);
    return saved && !saved->empty() && saved->front() == 1;
}
}  // namespace

ReachCheck::ReachCheck(Services services, Tasks& tasks, const PeerBook& peers, Events events)
    : services_(services),
      tasks_(tasks),
      peers_(peers),
      events_(std::move(events)),
      news_(services.runtime),
      verdict_(services.runtime.now(), was_reachable(services.store)),
      counts_(verdict_.counts(services.runtime.now())) {}

Reach ReachCheck::judged() const {
    const auto reachable = verdict_.reachable();
    if (!reachable) return Reach::unknown;
    return *reachable ? Reach::reachable : Reach::unreachable;
}

bool ReachCheck::knows_public_peer() const {
    return std::ranges::any_of(peers_.open(),
                               [](const auto& peer) { return !net::is_private(peer->remote()); });
}

std::vector<net::PeerPtr> ReachCheck::judges() const {
    auto peers = peers_.open();
    const bool public_only = knows_public_peer();
    std::erase_if(peers, [this, public_only](const auto& peer) {
        return !peer->dialled() || (public_only && net::is_private(peer->remote())) ||
               events_.port(peer->remote().is_v4()) == 0;
    });
    std::ranges::shuffle(peers, services_.runtime.random());
    const auto other = std::ranges::find_if(peers, [&peers](const auto& peer) {
        return peer->remote().is_v4() != peers.front()->remote().is_v4();
    });
    if (other != peers.end()) std::iter_swap(other, peers.begin() + 1);
    if (peers.size() > judges_max) peers.resize(judges_max);
    return peers;
}

asio::awaitable<proto::ReachVerdict::Round> ReachCheck::ask(std::vector<net::PeerPtr> judges) {
    Gather<Answer> gather(services_.runtime, tasks_);
    for (const auto& peer : judges)
        gather.start(ask_one(peer, events_.port(peer->remote().is_v4())));
    const auto answers = co_await gather.all();
    proto::ReachVerdict::Round round;
    for (const auto& answer : answers) {
        if (!answer) continue;
        ++round.answers;
        if (*answer) ++round.reached;
    }
    co_return round;
}

asio::awaitable<void> ReachCheck::run() {
    while (!tasks_.stopping()) {
        auto asked = std::vector<net::PeerPtr>();
        if (services_.runtime.now() >= verdict_.next_round()) {
            asked = judges();
            const auto round = co_await ask(asked);
            verdict_.on_round(round, services_.runtime.now());
        }
        tell();
        // Peers end the connection to who changes its mind all the time, and answer nobody so
        // often.
        if (!asked.empty()) {
            const bool go_on = co_await tasks_.sleep_for(pause_min);
            if (!go_on) co_return;
        }
        const auto deadline = verdict_.next_round();
        if (told_ == judged()) (void)co_await news_.wait_until(deadline);
    }
}

void ReachCheck::on_judge() {
    verdict_.on_judge(services_.runtime.now());
    news_.notify_all();
}

void ReachCheck::on_dialled_by(const core::Endpoint& peer) {
    if (peer.is_loopback() || (net::is_private(peer) && knows_public_peer())) return;
    verdict_.on_dialled(services_.runtime.now());
    news_.notify_all();
}

void ReachCheck::on_new_address() {
    verdict_.on_news(services_.runtime.now());
    news_.notify_all();
}

void ReachCheck::tell() {
    const auto reach = judged();
    const bool is_new = reach != told_;
    told_ = reach;
    counts_ = verdict_.counts(services_.runtime.now());
    if (is_new) {
        log::info("reach", "others {} dial this node",
                  reach == Reach::unreachable ? "cannot" : "can");
        save();
    }
    events_.changed();
}

void ReachCheck::save() {
    services_.runtime.run_on_worker(
        [&store = services_.store, reachable = told_ == Reach::reachable] {
            const std::uint8_t value = reachable ? 1 : 0;
            if (auto saved = store.set_setting(reachable_setting, {&value, 1}); !saved)
                log::warn("reach", "not saved: {}", saved.error().message());
        },
        [] {});
}

}  // namespace flow29::node
