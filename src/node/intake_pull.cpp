// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "core/log.hpp"
#include "node/holdings.hpp"
#include "node/intake.hpp"
#include "node/terms.hpp"

// What is not here yet: pulled from whoever has it, made durable, and said so.
namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr ByteCount batch_bytes_max{16ULL << 20};  // synced together
constexpr Duration idle_timeout = 30s;
constexpr Duration takeover_saves_min = 1s;
constexpr Duration fallback_after = 6s;
constexpr Duration stall_min = 1s;
constexpr Duration others_time = 250ms;  // for another one to say that it has it
constexpr std::size_t let_down_max = 64;
constexpr std::size_t let_down_at_once = 8;
// What is small comes in large numbers, and each batch costs a sync and a report to everybody.
constexpr Duration gather_time = 50ms;

/// Which bytes of the object are in none of these extents.
core::RangeSet all_but(const core::Layout& layout, const std::vector<ExtentIndex>& extents) {
    core::RangeSet rest;
    rest.insert(0, layout.length().value);
    for (const auto extent : extents) {
        const auto bytes = layout.extent_bytes(extent);
        rest.erase(bytes.first.value, bytes.last.value);
    }
    return rest;
}
}  // namespace

Download::Options Intake::download_options(const core::Layout& layout, ExtentIndex start) {
    Download::Options options;
    options.idle_timeout = idle_timeout;
    options.stop = stop_.get_token();
    options.planner.start_at = layout.extent_bytes(start).first.value;
    // Nobody waits for a copy so much that bytes may be pulled twice to have it a moment sooner.
    options.planner.takeover_saves_min = takeover_saves_min;
    options.planner.stall_min = stall_min;
    options.budget = &budget_;
    options.is_repair = order_.is_repair;
    const bool trickles = order_.is_repair && budget_.repair().is_limited();
    const std::weak_ptr<Intake> weak = weak_from_this();
    // What trickles in under a budget must not keep others waiting; there is little of it.
    if (!trickles)
        options.begin_max = [weak] {
            const auto self = weak.lock();
            return self ? self->events_.memory_max(*self) : ByteCount(0);
        };
    options.find_more = [weak](std::vector<ExtentIndex> starved) {
        return find_more(weak, std::move(starved));
    };
    return options;
}

asio::awaitable<void> Intake::pull(core::Descriptor descriptor, std::vector<ExtentIndex> wanted) {
    const auto layout = descriptor.layout();
    std::vector<ExtentIndex> leading;
    for (const auto extent : wanted) {
        const auto item = proto::ItemId::of(descriptor.extents[extent.value]);
        positions_.emplace(item, extent);
        if (leads_.contains(item)) leading.push_back(extent);
    }
    // Everybody invited begins somewhere else, so that they can trade.
    const auto start = wanted[services_.runtime.random()() % wanted.size()];
    const ByteRange everything{ByteCount(0), layout.length()};
    ExtentAssembler assembler(descriptor, [this] { whole_.notify_all(); });
    auto options = download_options(layout, start);
    download_ = std::make_shared<Download>(services_, tasks_, peers_, descriptor, everything,
                                           all_but(layout, wanted), assembler, std::move(options));
    if (order_.inviter) download_->add_holder_of(order_.inviter, leading);
    for (const auto& [node, item] : std::exchange(early_, {}))
        if (positions_.contains(item)) download_->on_stored(node, {item});
    const auto self = shared_from_this();
    tasks_.start(add_sources(self));
    tasks_.start(write(self, &assembler));
    const auto outcome = co_await download_->run();
    if (!outcome) log::info("keeper", "a pull ended: {}", outcome.error().message());
    // Extents that did come are kept even when others did not.
    pulled_ = true;
    whole_.notify_all();
    while (!written_)
        co_await whole_.wait();
    fetched_ += download_->fetched();
    download_.reset();
    events_.on_memory_free();
}

asio::awaitable<void> Intake::write(std::shared_ptr<Intake> self, ExtentAssembler* assembler) {
    for (;;) {
        auto batch = assembler->take_whole(batch_bytes_max);
        if (!batch.empty()) {
            co_await put(std::move(batch));
        } else if (self->pulled_) {
            break;
        } else {
            co_await whole_.wait();
            if (!self->pulled_) (void)co_await tasks_.sleep_for(gather_time);
        }
    }
    written_ = true;
    whole_.notify_all();
}

/// Makes a batch durable, as long as the lease is in force, and says so. Of a part no lease is
/// known, and what has been called off stays out.
asio::awaitable<void> Intake::put(std::vector<ExtentAssembler::Whole> batch) {
    const bool is_part = order_.is_part;
    std::vector<ExtentIndex> taken;
    std::vector<store::NewExtent> extents;
    std::vector<proto::ItemId> items;
    std::uint64_t bytes = 0;
    for (auto& [index, extent] : batch) {
        taken.push_back(index);
        items.push_back(proto::ItemId::of(extent.hash));
        bytes += extent.length().value;
        if (is_part && unwanted_.contains(items.back())) continue;
        extents.push_back(std::move(extent));
    }
    auto& store = services_.store;
    const auto lease = order_.lease;
    const auto wall_now = services_.runtime.wall_now();
    const auto self = services_.identity.id();
    auto* const room = room_.get();
    auto keep = [&store, lease, wall_now, self, items, room, is_part,
                 extents = std::move(extents)]() mutable -> Result<std::vector<proto::ItemId>> {
        const auto is_wanted = [&] { return is_part || is_in_force(store, lease, wall_now); };
        if (!is_wanted()) return fail(Errc::refused, "withdrawn");
        if (auto put = store.put_extents(std::move(extents), room); !put) return fail(put.error());
        if (!is_wanted()) return fail(Errc::refused, "withdrawn");
        // What is in the store now is what counts.
        std::erase_if(items, [&](const auto& item) { return !store.owns_extent(item.extent()); });
        if (is_part) return items;
        if (auto kept = mark_kept(store, lease.root, items, self); !kept) return fail(kept.error());
        return items;
    };
    auto kept = co_await net::offload(services_.runtime, std::move(keep));
    for (const auto extent : taken)
        if (download_) download_->on_taken(extent);
    events_.on_memory_free();
    settle(items, bytes);
    if (kept) {
        std::erase_if(
            items, [&](const auto& item) { return std::ranges::find(*kept, item) != kept->end(); });
        if (!kept->empty() && !is_part) events_.on_kept({root(), *kept, order_.inviter != nullptr});
        if (!items.empty()) fell_short_ = true;
        report(std::move(*kept), std::move(items));
        co_return;
    }
    log::info("keeper", "not kept: {}", kept.error().message());
    fell_short_ = true;
    was_refused_ = true;
    report({}, std::move(items));
    // A full or failing disk, or a withdrawal: the rest would fare no better.
    stop_.request_stop();
    wake();
}

asio::awaitable<void> Intake::add_sources(std::shared_ptr<Intake> self) {
    auto named = named_sources();
    auto sources = co_await neighbourhood_.reach_all(std::move(named));
    if (!self->download_) co_return;
    for (const auto& peer : sources)
        if (!order_.inviter || peer->id() != order_.inviter->id())
            download_->add_holder(peer, false);
}

asio::awaitable<void> Intake::find_more(std::weak_ptr<Intake> weak,
                                        std::vector<ExtentIndex> starved) {
    const auto self = weak.lock();
    if (!self) co_return;
    // Whoever cannot be reached takes its time.
    self->tasks_.start(self->add_sources(self));
    const bool go_on = co_await self->tasks_.sleep_for(others_time);
    if (go_on) self->fall_back(std::move(starved));
}

/// Soon for what somebody said to have, and does not give.
void Intake::fall_back(std::vector<ExtentIndex> starved) {
    if (!download_ || !order_.inviter) return;
    const auto now = services_.runtime.now();
    const auto& planner = download_->planner();
    if (now < download_->last_progress() + fallback_after) {
        starved = planner.starved(let_down_max, now);
        std::erase_if(starved,
                      [&planner](const auto extent) { return !planner.was_promised(extent); });
        fallback_ = std::max(fallback_, let_down_at_once);
    }
    if (starved.empty()) return;
    // In no order, so that those who lost the same lead do not all ask for the same.
    std::shuffle(starved.begin(), starved.end(), services_.runtime.random());
    starved.resize(std::min(starved.size(), fallback_));
    fallback_ *= 2;
    download_->add_holder_of(order_.inviter, starved);
}

}  // namespace flow29::node
