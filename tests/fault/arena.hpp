// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <flow29/ids.hpp>
#include "core/time.hpp"
#include "fault/shim.hpp"

namespace flow29::fault {

/// What a node said is so, or is about to undo. Written before its caller goes on.
struct Ack {
    enum class Kind : std::uint32_t {
        extent,         ///< is in the store
        extent_may_go,  ///< from here on it may be there or not
        object,         ///< its descriptor is in the store
        object_may_go,
        published,    ///< by this node
        lease,        ///< `number` is its sequence
        step_begins,  ///< `number` says which
        step_done,
    };
    Kind kind;
    std::uint32_t round;
    std::uint64_t number;
    std::array<std::uint8_t, 32> hash;
};

/// What outlives a process that is killed: memory that it shares with whoever looks afterwards, in
/// a file when that is a later program.
class Arena {
  public:
    /// In memory that is shared with children only, or in `file`, kept as it is if it is there.
    explicit Arena(const std::filesystem::path& file = {});
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    [[nodiscard]] Control& control() { return data_->control; }
    void add(const Ack& ack);
    [[nodiscard]] std::size_t acks() const { return data_->acks; }
    [[nodiscard]] const Ack& ack(std::size_t at) const { return data_->list[at]; }
    /// The latest moment that a run reached.
    [[nodiscard]] TimePoint clock() const { return TimePoint(Duration(data_->clock)); }
    void set_clock(TimePoint now) { data_->clock = now.time_since_epoch().count(); }
    /// Something is not as it must be.
    void blame(std::string_view what);
    [[nodiscard]] std::string blamed() const;
    void forget_blame() { data_->text_bytes = 0; }
    /// Forgets everything.
    void clear();

  private:
    static constexpr std::size_t acks_max = 200'000;
    struct Data {
        Control control;
        std::atomic<std::int64_t> clock;
        std::atomic<std::uint64_t> acks;
        std::atomic<std::uint64_t> text_bytes;
        std::array<char, 16384> text;
        std::array<Ack, acks_max> list;
    };
    Data* data_;
};

}  // namespace flow29::fault
