// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/announcer.hpp"

#include <algorithm>

#include "node/gather.hpp"

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr Duration tick = 1s;
constexpr auto record_lifetime = limits::record_lifetime_max;
}  // namespace

Announcer::Announcer(Services services, Tasks& tasks, OwnAddresses own_addresses)
    : services_(services),
      tasks_(tasks),
      own_addresses_(std::move(own_addresses)),
      scheduler_(proto::AnnounceScheduler::Options{}, services.runtime.random()()),
      changed_(services.runtime) {}

void Announcer::add(const RootHash& root, const core::Descriptor& descriptor,
                    const std::vector<proto::ItemId>& items) {
    const auto now = services_.runtime.now();
    const auto own = proto::ItemId::of(root);
    summaries_[own] = {descriptor.kind, descriptor.length, descriptor.tree(), descriptor.level};
    scheduler_.add(own, true, now);
    const bool chunks = descriptor.level == 0;
    const auto self = services_.identity.id();
    for (const auto& item : items) {
        if (item == own) continue;
        if (chunks || proto::has_extent_record(item, self, descriptor.extents.size()))
            scheduler_.add(item, chunks, now);
    }
    // The record of a single chunk says how long it is, so that it can be asked for and proved.
    for (std::uint64_t i = 0; chunks && i < descriptor.extents.size(); ++i) {
        const auto& chunk = descriptor.extents[i];
        summaries_[proto::ItemId::of(chunk)] = {
            ObjectKind::file, descriptor.layout().extent_length(ExtentIndex(i)), chunk, 0};
    }
    drained_ = false;
    changed_.notify_all();
}

void Announcer::remove(const std::vector<proto::ItemId>& items) {
    for (const auto& item : items) {
        scheduler_.remove(item);
        summaries_.erase(item);
    }
}

std::vector<proto::ItemId> Announcer::summarised() const {
    std::vector<proto::ItemId> items;
    items.reserve(summaries_.size());
    for (const auto& [item, summary] : summaries_)
        items.push_back(item);
    return items;
}

void Announcer::on_network_size(std::size_t nodes) {
    scheduler_.on_network_size(nodes, services_.runtime.now());
    changed_.notify_all();
}

asio::awaitable<bool> Announcer::put_at(proto::ItemId item, core::Endpoint address) {
    proto::ProviderRecord record;
    record.key = item.key(services_.keys);
    record.address = address;
    const auto wall_now = services_.runtime.wall_now();
    record.sequence = to_unix_ms(wall_now);
    record.expires = wall_now + record_lifetime;
    if (const auto summary = summaries_.find(item); summary != summaries_.end())
        record.summary = summary->second;
    record.sign(services_.identity);
    std::function<void(std::function<void(bool)>)> start =
        [this, record](std::function<void(bool)> done) {
            services_.index.announce(record, std::move(done));
        };
    const bool ok = co_await net::await_callback<bool>(std::move(start));
    co_return ok;
}

asio::awaitable<void> Announcer::put(proto::ItemId item, std::vector<core::Endpoint> addresses) {
    Gather<bool> gather(services_.runtime, tasks_);
    for (const auto& address : addresses)
        gather.start(put_at(item, address));
    const auto taken = co_await gather.all();
    const bool ok = std::ranges::count(taken, true) > 0;
    --in_flight_;
    scheduler_.on_put(item, ok, services_.runtime.now());
    changed_.notify_all();
}

asio::awaitable<void> Announcer::run() {
    while (!tasks_.stopping()) {
        const auto now = services_.runtime.now();
        const auto addresses = own_addresses_();
        auto wake = now + Duration(tick);
        if (addresses.size() > families_) {
            // What was put until now, those of the new family do not find.
            if (families_ > 0) scheduler_.on_new_family(now);
            families_ = addresses.size();
        }
        if (!addresses.empty()) {
            while (auto item = scheduler_.poll(now)) {
                ++in_flight_;
                tasks_.start(put(*item, addresses));
            }
            const auto next = scheduler_.next_deadline();
            drained_ = in_flight_ == 0 && (!next || *next > now + Duration(tick));
            if (next) wake = std::clamp(*next, now + Duration(1ms), wake);
        }
        co_await changed_.wait_until(wake);
    }
}

asio::awaitable<bool> Announcer::wait_announced(TimePoint deadline) {
    while (!drained_ && !tasks_.stopping() && services_.runtime.now() < deadline) {
        const bool go_on = co_await tasks_.sleep_for(20ms);
        if (!go_on) break;
    }
    co_return drained_;
}

proto::AnnounceScheduler::Forecast Announcer::forecast() const {
    return scheduler_.forecast(services_.runtime.now());
}

}  // namespace flow29::node
