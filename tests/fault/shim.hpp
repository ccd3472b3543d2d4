// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flow29::fault {

/// What happens to a system call that changes a disk.
enum class Kind : std::uint32_t {
    none,
    kill,         ///< the process dies before it
    kill_after,   ///< the process dies when it is done and before it returns
    torn,         ///< of a write, half is done and the process dies
    io_error,     ///< it is not done: EIO
    no_space,     ///< it is not done: ENOSPC
    short_write,  ///< half of it is done, and said to be
    /// The process dies before it, and what was not synced by then is undone. See Unsynced; for
    /// programs with one thread.
    power_cut,
    power_cut_some,  ///< likewise, and some of that is there
};

/// What kind of call a point is.
enum class Op : std::uint8_t { none, write, sync, rename, unlink, truncate, create };

[[nodiscard]] constexpr bool applies(Kind kind, Op op) {
    switch (kind) {
        case Kind::torn:
        case Kind::short_write:
            return op == Op::write;
        case Kind::no_space:
            return op != Op::unlink;
        default:
            return kind != Kind::none && op != Op::none;
    }
}

/// In memory that processes share: who arms it reads there what happened, also of one that died.
/// Zeros are a valid beginning. test_faults.py knows the order and sizes.
struct Control {
    static constexpr std::size_t ops_max = 8192;

    std::array<char, 512> under{};  ///< calls on paths that begin so are points
    std::uint64_t at = 0;           ///< the point that is hit, counted from 0
    std::uint32_t kind = 0;         ///< a Kind
    std::uint32_t sticky = 0;       ///< every later point as well
    std::atomic<std::uint32_t> armed{0};
    std::atomic<std::uint32_t> hits{0};
    std::atomic<std::uint64_t> points{0};
    std::array<char, 512> where{};  ///< which call was hit first
    std::array<Op, ops_max> ops{};  ///< of each point
};
static_assert(sizeof(std::atomic<std::uint64_t>) == 8);

}  // namespace flow29::fault

/// From now on `control` rules this process and what it forks; null ends that. A program that does
/// not call it is ruled by the file that FLOW29_FAULT_CONTROL names, if any.
extern "C" void flow29_fault_use(flow29::fault::Control* control);
