// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/trimmer.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "core/size_text.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr std::size_t extents_max = 16;  // at a time; whoever needs more room asks again
constexpr Duration pause = 10s;          // after a time that made no room
constexpr Duration answer_timeout = 10s;
}  // namespace

asio::awaitable<bool> Trimmer::make_room() {
    if (trimming_) {
        while (trimming_)
            co_await done_.wait();
        co_return made_room_;
    }
    if (services_.runtime.now() < next_) co_return false;
    trimming_ = true;
    const auto freed = co_await trim();
    trimming_ = false;
    made_room_ = freed.value > 0;
    if (!made_room_) next_ = services_.runtime.now() + pause;
    done_.notify_all();
    co_return made_room_;
}

bool Trimmer::pledge(const NodeId& asker, const proto::ItemId& item) {
    // Who leaves hands over what it keeps; nobody may rely on it meanwhile.
    if (!settings_.storing || !caretaker_.sync().ledger().contains(item)) return false;
    const auto& planner = caretaker_.planner();
    const auto holders = planner.holders(item);
    if (std::ranges::find(holders, asker) == holders.end()) return false;
    return pledges_.pledge(item, planner.ranks_before_us(item, asker), services_.runtime.now());
}

/// Extents that may go as far as is known here, those with the most copies first. O(items).
std::vector<proto::ItemId> Trimmer::surplus() const {
    const auto now = services_.runtime.now();
    const auto& planner = caretaker_.planner();
    auto items = planner.items();
    std::erase_if(items, [&](const proto::ItemId& item) {
        return item.kind != proto::ItemId::Kind::extent ||
               planner.copies(item) <= planner.target(item) || pledges_.is_pledged(item, now) ||
               planner.others_to_rely_on(item).empty();
    });
    std::ranges::sort(items, [&](const proto::ItemId& a, const proto::ItemId& b) {
        return std::pair(planner.copies(b), a) < std::pair(planner.copies(a), b);
    });
    return items;
}

asio::awaitable<ByteCount> Trimmer::trim() {
    ByteCount freed;
    std::size_t tried = 0;
    for (const auto& item : surplus()) {
        if (tasks_.stopping() || tried == extents_max) break;
        if (!pledges_.begin(item, services_.runtime.now())) continue;
        ++tried;
        const bool agreed = co_await enough_agree(item);
        if (agreed && !tasks_.stopping() && pledges_.commit(services_.runtime.now()))
            freed += co_await let_go(item);
        pledges_.end();
    }
    if (freed.value > 0)
        log::info("trimmer", "freed {} of copies beyond those wanted", core::size_text(freed));
    co_return freed;
}

asio::awaitable<bool> Trimmer::enough_agree(proto::ItemId item) {
    const auto& planner = caretaker_.planner();
    std::vector<NodeId> agreed;
    for (const auto& node : planner.others_to_rely_on(item)) {
        const bool does = co_await agrees(node, item);
        if (does) agreed.push_back(node);
        if (planner.are_enough(item, agreed)) co_return true;
    }
    co_return false;
}

asio::awaitable<bool> Trimmer::agrees(NodeId node, proto::ItemId item) {
    const auto peer = peers_.find(node);
    const auto* known = caretaker_.descriptor_with(item);
    if (!peer || known == nullptr || tasks_.stopping()) co_return false;
    const auto descriptor = *known;
    proto::Message ask = proto::Pledge{item};
    const auto reply = co_await peer->request(std::move(ask), answer_timeout);
    const auto* answer = reply ? std::get_if<proto::PledgeReply>(&reply->message) : nullptr;
    if (answer == nullptr || !answer->pledged) co_return false;
    const auto random = services_.runtime.random()();
    const auto outcome = co_await Auditor::probe(peer, descriptor, item, random);
    const bool failed = outcome == Auditor::Outcome::failed;
    if (failed && !tasks_.stopping()) co_await caretaker_.on_audit_failed(node, item, true);
    co_return outcome == Auditor::Outcome::passed;
}

asio::awaitable<ByteCount> Trimmer::let_go(proto::ItemId item) {
    auto& store = services_.store;
    const auto& planner = caretaker_.planner();
    const auto root = planner.root_of(item);
    const auto holders = planner.holders(item);
    const std::vector<proto::ItemId> items{item};
    auto drop = [&store, extent = item.extent()] { return store.drop_extent(extent); };
    const auto freed = co_await net::offload(services_.runtime, std::move(drop));
    if (!freed) log::warn("trimmer", "nothing let go: {}", freed.error().message());
    if (!freed || freed->value == 0) co_return ByteCount(0);
    caretaker_.give_up(items);
    announcer_.remove(items);
    const proto::Stored message{root, {}, items};
    for (const auto& node : holders)
        if (const auto peer = peers_.find(node)) peer->notify(message);
    co_return *freed;
}

}  // namespace flow29::node
