// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/part_pusher.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"

namespace flow29::node {

namespace log = core::log;

namespace {
// No part outlives its publisher's connection, whatever its lease says.
constexpr auto lease_time = std::chrono::minutes(10);
}  // namespace

void PartPusher::on_hashed(const core::Layout& layout, std::span<const ExtentHash> hashes) {
    seen_ += hashes.size();
    if (layout.length().value < 2 * settings_.part_bytes.value) return;
    hashed_.insert(hashed_.end(), hashes.begin(), hashes.end());
    const auto extent_bytes = layout.chunks_per_extent().value * limits::chunk_bytes;
    // All of them are as long as an extent is: the last one is in no part.
    if (hashed_.size() * extent_bytes < settings_.part_bytes.value || seen_ >= layout.extents())
        return;
    const ByteCount length(hashed_.size() * extent_bytes);
    waiting_.push_back({ObjectKind::file, length, layout.level(), std::exchange(hashed_, {})});
    start_next();
}

void PartPusher::start_next() {
    while (!stop_.stop_requested() && !waiting_.empty() && running_ < parts_at_once) {
        auto descriptor = std::move(waiting_.front());
        waiting_.pop_front();
        ++running_;
        const auto root = descriptor.root();
        parts_.push_back({root, std::move(descriptor), placers_.start()});
        tasks_.start(push(shared_from_this(), parts_.back()));
    }
}

asio::awaitable<void> PartPusher::push(std::shared_ptr<PartPusher> self, Part part) {
    const auto layout = part.descriptor.layout();
    for (std::uint64_t i = 0; i < part.descriptor.extents.size(); ++i)
        part.placer->add(proto::ItemId::of(part.descriptor.extents[i]), part.root,
                         layout.extent_length(ExtentIndex(i)), self->copies_);
    const auto wall_now = services_.runtime.wall_now();
    proto::Lease lease;
    lease.root = part.root;
    lease.copies = static_cast<std::uint8_t>(copies_);
    lease.expires = wall_now + lease_time;
    lease.sequence = to_unix_ms(wall_now);
    lease.sign(services_.identity);
    Inviter::LeaseOf lease_of = [lease](const RootHash&) { return std::optional(lease); };
    Placer::ReportFn report = [](const auto&) {};
    auto is_paused = Transfer::is_paused(transfer_);
    auto stop = stop_.get_token();
    co_await part.placer->run(std::move(lease_of), idle_timeout_, std::move(stop),
                              std::move(report), std::move(is_paused));
    const auto counts = part.placer->planner().counts();
    log::debug("publisher", "{} copies of {} extents taken in before all was hashed",
               counts.sum_copies, counts.items);
    placers_.end(part.placer);
    --running_;
    start_next();
}

void PartPusher::call_off() {
    for (const auto& part : parts_)
        for (const auto& node : part.placer->asked())
            if (const auto peer = peers_.find(node)) peer->notify(proto::Uninvite{part.root, {}});
}

std::optional<core::Descriptor> PartPusher::part(const RootHash& root) const {
    const auto found = std::ranges::find(parts_, root, &Part::root);
    return found == parts_.end() ? std::nullopt : std::optional(found->descriptor);
}

}  // namespace flow29::node
