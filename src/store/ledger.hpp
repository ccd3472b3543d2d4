// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <mutex>

#include <flow29/error.hpp>
#include <flow29/ids.hpp>
#include "store/store.hpp"

namespace flow29::store {

class Room;
class Charge;

/// What a charge is for. Bookkeeping may use the last of the capacity, which content may not, so
/// that a full store still takes the withdrawals, flags and progress that make room again.
enum class Purpose { content, bookkeeping };

/// The store's hard capacity: what is used, what is promised, how many things there are.
/// Safe from any thread; all functions are O(1).
///
///     0 ............ used ............ used + reserved ...... content limit .... capacity
///                    (kept charges)    (rooms not yet filled)                ^ bookkeeping only
///
/// Rules:
/// 1. used + reserved never passes the capacity because of a charge or a room granted here. It may
///    lie above when a catalogue is opened with a capacity lower than before: then everything is
///    refused until enough is collected.
/// 2. A charge takes first from the room it names, then from what is free.
class Ledger : public std::enable_shared_from_this<Ledger> {
  public:
    explicit Ledger(ByteCount capacity) : capacity_(capacity) {}

    /// Errc::no_space when it does not fit.
    [[nodiscard]] Result<std::unique_ptr<Room>> reserve(ByteCount bytes);
    /// Takes `cost`; `room`, possibly null, was made by this ledger. Errc::no_space.
    [[nodiscard]] Result<Charge> charge(ByteCount cost, Purpose purpose, Room* room = nullptr);
    /// Takes what something grows by when its cost changes; what it shrinks by comes free when the
    /// charge is kept.
    [[nodiscard]] Result<Charge> charge_change(ByteCount before, ByteCount after, Purpose purpose);
    void refund(ByteCount cost);

    /// What a catalogue held when it was opened.
    void start_with(ByteCount used, std::uint64_t objects, std::uint64_t extents);
    void count_objects(std::int64_t change);
    void count_extents(std::int64_t change);
    [[nodiscard]] Usage usage() const;

  private:
    friend class Room;
    friend class Charge;

    [[nodiscard]] bool fits(ByteCount bytes, Purpose purpose) const;
    [[nodiscard]] Error full(ByteCount bytes) const;

    mutable std::mutex mutex_;
    const ByteCount capacity_;
    ByteCount used_;
    ByteCount reserved_;
    std::uint64_t objects_ = 0;
    std::uint64_t extents_ = 0;
};

/// The reservation that a ledger grants. It may outlive the store.
class Room final : public Reservation {
  public:
    Room(std::shared_ptr<Ledger> ledger, ByteCount left)
        : ledger_(std::move(ledger)), left_(left) {}
    ~Room() override;
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

  private:
    friend class Ledger;
    friend class Charge;
    std::shared_ptr<Ledger> ledger_;
    ByteCount left_;  // guarded by the ledger's mutex
};

/// Bytes taken from a ledger, which go back where they came from unless kept.
/// The room it was taken from must outlive it.
class Charge {
  public:
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&&) = delete;
    ~Charge() { settle(ByteCount(0)); }

    /// All of it is used from now on.
    void keep();
    /// Only `cost` of it is. Requires that no more is kept than was taken.
    void keep(ByteCount cost);

  private:
    friend class Ledger;
    Charge(std::shared_ptr<Ledger> ledger, ByteCount cost)
        : ledger_(std::move(ledger)), cost_(cost) {}
    void settle(ByteCount kept);

    std::shared_ptr<Ledger> ledger_;  // empty once settled
    ByteCount cost_;
    Room* room_ = nullptr;  // owned by the caller of put_extents
    ByteCount from_room_;
    ByteCount shrinkage_;  // comes free when kept
};

}  // namespace flow29::store
