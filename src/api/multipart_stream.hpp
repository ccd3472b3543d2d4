// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <flow29/node.hpp>

#include "api/http_message.hpp"
#include "api/object_stream.hpp"

namespace flow29::api {

/// Several ranges of one object as one body (RFC 9110 §14.6), each streamed and verified like the
/// whole, one after the other:
///
///     --B ␍␊ Content-Type: T ␍␊ Content-Range: bytes F-L/N ␍␊ ␍␊ bytes    of the first
///     ␍␊ --B ␍␊ …                                                         of each further one
///     ␍␊ --B-- ␍␊
///
/// B is made at random, so that no object can contain it on purpose.
class MultipartStream final : public BodyStream {
  public:
    struct Options {
        std::vector<ByteRange> ranges;  ///< at least one; each within the object, none empty
        ByteCount object_bytes;
        std::string content_type;  ///< of the object
    };

    /// `node` must outlive the stream. `stop` ends every wait.
    MultipartStream(Node& node, Link link, Options options, std::stop_token stop);

    /// Waits for the first range's first bytes: after that an answer can be promised. Errors: the
    /// object stream's.
    [[nodiscard]] Result<void> wait_head();
    [[nodiscard]] std::optional<Bytes> next() override;

    /// Of the body.
    [[nodiscard]] std::string content_type() const;
    [[nodiscard]] std::uint64_t length() const;

  private:
    [[nodiscard]] std::unique_ptr<ObjectStream> open(std::size_t part) const;
    [[nodiscard]] std::string head_of(std::size_t part) const;
    [[nodiscard]] std::string end() const;

    Node& node_;  // owned by whoever made this
    Link link_;
    Options options_;
    std::stop_token stop_;
    std::string boundary_;
    std::size_t part_ = 0;
    std::unique_ptr<ObjectStream> stream_;  // of that part; null: it is still to be opened
    bool in_part_ = false;                  // its head is out
    std::uint64_t left_ = 0;                // of it
};

}  // namespace flow29::api
