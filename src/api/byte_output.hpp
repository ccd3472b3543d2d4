// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include <flow29/node.hpp>

namespace flow29::api {

/// Where a stream of verified bytes goes, with back-pressure. Functions may be called from any
/// thread, one at a time, and do not block.
class ByteOutput {
  public:
    virtual ~ByteOutput() = default;

    /// Told once, before the first bytes, what is coming.
    virtual void begin(ObjectKind kind, ByteCount object_bytes, ByteRange range) = 0;
    /// Keeps a copy of `bytes` and calls `next` when it can take more; `next(false)`: it never can.
    virtual void write(ByteView bytes, std::function<void(bool go_on)> next) = 0;
    /// No more bytes come. Calls `done` when all have left, or with false when they cannot.
    virtual void finish(std::function<void(bool all_written)> done) = 0;
    /// Gives up at once: pending calls answer false.
    virtual void abort() = 0;
};

}  // namespace flow29::api
