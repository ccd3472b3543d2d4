// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include <flow29/node.hpp>

#include "api/http_message.hpp"

namespace flow29::api {

/// A node's stream of verified bytes, for a thread that waits for them. At most two pieces are in
/// memory: the reader's, and the one that waits for it. Destroying it cancels the stream.
class ObjectStream final : public BodyStream {
  public:
    struct Head {
        ObjectKind kind = ObjectKind::file;
        ByteCount object_bytes;
        ByteRange range;
    };
    struct Options {
        std::optional<ByteRange> range;
        bool head_only = false;  ///< ends when the head is known; no data are fetched
    };

    /// `stop` ends every wait.
    ObjectStream(Node& node, Link link, const Options& options, std::stop_token stop);
    ~ObjectStream() override;
    ObjectStream(const ObjectStream&) = delete;
    ObjectStream& operator=(const ObjectStream&) = delete;

    /// Waits until the object is found, and unless only the head is wanted or the range is empty,
    /// until its first bytes are here: after that an answer can be promised. Errors: the stream's.
    [[nodiscard]] Result<Head> wait_head();
    [[nodiscard]] std::optional<Bytes> next() override;

  private:
    struct State;
    std::shared_ptr<State> state_;  // the node's callbacks hold it too
    std::stop_token stop_;
};

}  // namespace flow29::api
