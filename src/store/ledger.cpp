// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/ledger.hpp"

#include "core/assert.hpp"
#include "core/size_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace flow29::store {
namespace {

/// The part of the capacity that content leaves to bookkeeping.
ByteCount bookkeeping_part(ByteCount capacity) {
    return ByteCount(std::min<std::uint64_t>(capacity.value / 64, 1024 * 1024));
}

std::uint64_t add(std::uint64_t value, std::int64_t change) {
    FLOW29_ASSERT(change >= 0 || value >= static_cast<std::uint64_t>(-change));
    return value + static_cast<std::uint64_t>(change);
}

}  // namespace

bool Ledger::fits(ByteCount bytes, Purpose purpose) const {
    if (bytes.value == 0) return true;
    ByteCount limit = capacity_;
    if (purpose == Purpose::content) limit -= bookkeeping_part(capacity_);
    return bytes <= limit && used_ + reserved_ <= limit - bytes;
}

Error Ledger::full(ByteCount bytes) const {
    return {
        Errc::no_space,
        fmt::format("no room for {}: {} of {} are used and {} promised; the node's --capacity says "
                    "how much it may be",
                    core::size_text(bytes), core::size_text(used_), core::size_text(capacity_),
                    core::size_text(reserved_))};
}

Result<std::unique_ptr<Room>> Ledger::reserve(ByteCount bytes) {
    const std::lock_guard lock(mutex_);
    if (!fits(bytes, Purpose::content)) return fail(full(bytes));
    auto room = std::make_unique<Room>(shared_from_this(), bytes);
    reserved_ += bytes;
    return room;
}

Result<Charge> Ledger::charge(ByteCount cost, Purpose purpose, Room* room) {
    const std::lock_guard lock(mutex_);
    FLOW29_ASSERT(room == nullptr || room->ledger_.get() == this);
    const ByteCount from_room = room != nullptr ? std::min(room->left_, cost) : ByteCount(0);
    if (!fits(cost - from_room, purpose)) return fail(full(cost - from_room));

    Charge charge(shared_from_this(), cost);
    used_ += cost;
    if (room != nullptr) {
        reserved_ -= from_room;
        room->left_ -= from_room;
        charge.room_ = room;
        charge.from_room_ = from_room;
    }
    return charge;
}

Result<Charge> Ledger::charge_change(ByteCount before, ByteCount after, Purpose purpose) {
    if (before <= after) return charge(after - before, purpose);
    auto none = charge(ByteCount(0), purpose);
    if (none) none->shrinkage_ = before - after;
    return none;
}

void Ledger::refund(ByteCount cost) {
    const std::lock_guard lock(mutex_);
    FLOW29_ASSERT(cost <= used_);
    used_ -= cost;
}

void Ledger::start_with(ByteCount used, std::uint64_t objects, std::uint64_t extents) {
    const std::lock_guard lock(mutex_);
    used_ = used;
    objects_ = objects;
    extents_ = extents;
}

void Ledger::count_objects(std::int64_t change) {
    const std::lock_guard lock(mutex_);
    objects_ = add(objects_, change);
}

void Ledger::count_extents(std::int64_t change) {
    const std::lock_guard lock(mutex_);
    extents_ = add(extents_, change);
}

Usage Ledger::usage() const {
    const std::lock_guard lock(mutex_);
    return {used_, reserved_, capacity_, objects_, extents_};
}

Room::~Room() {
    const std::lock_guard lock(ledger_->mutex_);
    ledger_->reserved_ -= left_;
}

Charge::Charge(Charge&& other) noexcept
    : ledger_(std::move(other.ledger_)),
      cost_(other.cost_),
      room_(other.room_),
      from_room_(other.from_room_),
      shrinkage_(other.shrinkage_) {}

void Charge::keep() {
    keep(cost_);
}

void Charge::keep(ByteCount cost) {
    if (!ledger_) return;
    if (shrinkage_.value != 0) ledger_->refund(shrinkage_);
    settle(cost);
}

void Charge::settle(ByteCount kept) {
    const std::shared_ptr<Ledger> ledger = std::move(ledger_);
    if (!ledger) return;
    const std::lock_guard lock(ledger->mutex_);
    FLOW29_ASSERT(kept <= cost_);
    const ByteCount back = cost_ - kept;
    ledger->used_ -= back;
    if (room_ != nullptr) {
        const ByteCount to_room = std::min(back, from_room_);
        room_->left_ += to_room;
        ledger->reserved_ += to_room;
    }
}

}  // namespace flow29::store
