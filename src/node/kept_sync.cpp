// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/kept_sync.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/holdings.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration period = 20s;
constexpr Duration retry = 5s;
constexpr Duration tick = 5s;
constexpr Duration pause = 1s;  // between looks for whom to compare with, unless one is asked for
constexpr Duration request_timeout = 10s;
constexpr Duration patience = 3s;  // repair waits no longer for a node to say what it keeps

proto::KeptLedger::Salt random_salt(std::mt19937_64& random) {
    proto::KeptLedger::Salt salt;
    for (auto& octet : salt)
        octet = static_cast<std::uint8_t>(random());
    return salt;
}
}  // namespace

void KeptSync::on_kept(const std::vector<proto::ItemId>& items) {
    for (const auto& item : items)
        ledger_.add(item);
}

asio::awaitable<void> KeptSync::refresh(std::vector<proto::ItemId> items) {
    auto& store = services_.store;
    const auto& self = services_.identity;
    const auto wall_now = services_.runtime.wall_now();
    auto look = [&store, &items, &self, wall_now] {
        return holdings_of(store, items, self, wall_now);
    };
    const auto holdings = co_await net::offload(services_.runtime, std::move(look));
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (holdings[i] == proto::Holding::kept)
            ledger_.add(items[i]);
        else
            ledger_.remove(items[i]);
    }
}

void KeptSync::on_more_cared_for() {
    std::erase_if(known_, [this](const auto& entry) {
        return !entry.second.comparing && !peers_.find(entry.first);
    });
}

void KeptSync::look_now(const NodeId& node) {
    known_[node].next = {};
    expected_[node] = services_.runtime.now() + patience;
    changed_.notify_all();
}

bool KeptSync::expecting() const {
    const auto now = services_.runtime.now();
    return std::ranges::any_of(expected_, [now](const auto& entry) { return entry.second > now; });
}

asio::awaitable<void> KeptSync::run() {
    while (!tasks_.stopping()) {
        const auto now = services_.runtime.now();
        std::erase_if(expected_, [now](const auto& entry) { return entry.second <= now; });
        auto wake = now + Duration(tick);
        for (const auto& peer : peers_.open()) {
            if (!peer->record().storing) continue;
            auto& known = known_[peer->id()];
            if (known.comparing) continue;
            if (known.next > now) {
                wake = std::min(wake, known.next);
                continue;
            }
            known.comparing = true;
            tasks_.start(compare(peer));
        }
        wake = std::max(wake, now + pause);
        co_await changed_.wait_until(wake);
    }
}

asio::awaitable<void> KeptSync::compare(net::PeerPtr peer) {
    const NodeId node = peer->id();
    auto state = known_[node].state;
    const bool heard = co_await ask(peer, state);
    auto& known = known_[node];
    known.comparing = false;
    if (heard) known.state = state;
    known.next = services_.runtime.now() + (heard ? period : retry);
    expected_.erase(node);
}

/// Follows one answer, list or changes; `state` is then what the peer's ledger was. False when
/// there was none to follow.
asio::awaitable<bool> KeptSync::ask(net::PeerPtr peer, proto::KeptState& state) {
    const NodeId node = peer->id();
    proto::Message first = proto::GetKept{state, 0};
    auto reply = co_await peer->request(std::move(first), request_timeout);
    auto* list = reply ? std::get_if<proto::KeptList>(&reply->message) : nullptr;
    if (list == nullptr) co_return false;
    if (!list->listed) {
        state = list->state;
        learned_(node, list->added, list->removed);
        co_return true;
    }
    const auto whole = list->state;
    const auto parts = list->parts;
    auto head = std::move(*list);
    auto names = std::move(reply->body);
    for (std::uint32_t part = 0;;) {
        const bool read = co_await read_part(peer, std::move(head), std::move(names), part);
        if (!read) co_return false;
        if (++part == parts) break;
        proto::Message next = proto::GetKept{proto::KeptState{}, part};
        reply = co_await peer->request(std::move(next), request_timeout);
        list = reply ? std::get_if<proto::KeptList>(&reply->message) : nullptr;
        // Its ledger grew past a border meanwhile: from the beginning, at the next look.
        if (list == nullptr || !list->listed || list->parts != parts) co_return false;
        head = std::move(*list);
        names = std::move(reply->body);
    }
    // What changed while the parts came is learned next, as changes since the first.
    state = whole;
    co_return true;
}

asio::awaitable<bool> KeptSync::read_part(net::PeerPtr peer, proto::KeptList list,
                                          core::Buffer names, std::uint32_t part) {
    const NodeId node = peer->id();
    // Beliefs as of now: what the peer says later must not be undone by this list.
    std::vector<proto::ItemId> believed;
    for (const auto& item : planner_.items_of(node))
        if (proto::KeptLedger::part_of(item, list.parts) == part) believed.push_back(item);
    std::vector<proto::ItemId> cared;
    for (const auto& item : planner_.items())
        if (proto::KeptLedger::part_of(item, list.parts) == part) cared.push_back(item);
    auto match = [&]() -> Result<Heard> {
        const auto found = proto::KeptLedger::find_in(names.view(), list.salt, cared);
        if (!found) return fail(found.error());
        Heard heard;
        for (std::size_t i = 0; i < cared.size(); ++i)
            if ((*found)[i]) heard.kept.push_back(cared[i]);
        std::ranges::sort(heard.kept);
        for (const auto& item : believed)
            if (!std::ranges::binary_search(heard.kept, item)) heard.lost.push_back(item);
        return heard;
    };
    const auto heard = co_await net::offload(services_.runtime, std::move(match));
    if (!heard) {
        peer->close(heard.error());
        co_return false;
    }
    log::debug("kept", "{} keeps {} of {} items", to_hex(node).substr(0, 12), heard->kept.size(),
               cared.size());
    learned_(node, heard->kept, heard->lost);
    co_return true;
}

asio::awaitable<Result<net::Reply>> KeptSync::answer(proto::GetKept ask) {
    if (!loaded_) co_return fail(Errc::peer_busy, "still reading what is kept here");
    const auto salt = random_salt(services_.runtime.random());
    auto list = ledger_.answer(ask, salt);
    if (!list.listed) co_return net::Reply{std::move(list), core::Buffer()};
    if (ask.part >= list.parts) co_return fail(Errc::refused, "the list has fewer parts");
    auto items = ledger_.items_of_part(ask.part, list.parts);
    auto name = [&items, salt] { return proto::KeptLedger::short_names(salt, items); };
    const auto names = co_await net::offload(services_.runtime, std::move(name));
    co_return net::Reply{std::move(list), core::Buffer::copy_of(names)};
}

}  // namespace flow29::node
