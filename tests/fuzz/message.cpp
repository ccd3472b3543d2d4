// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "proto/message.hpp"

#include "fixtures.hpp"
#include "input.hpp"

/// The head of a frame, of whatever type: what is decoded encodes to what decodes to the same, it
/// is within the bounds of its kind, and one octet less is refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const ByteView raw(data, size);
    if (size >= proto::FrameLengths::size) {
        const auto first = raw.first<proto::FrameLengths::size>();
        if (const auto lengths = proto::FrameLengths::decode(first)) {
            FLOW29_ASSERT(lengths->head > 0 && lengths->head <= limits::frame_head_bytes_max);
            FLOW29_ASSERT(lengths->body <= limits::frame_body_bytes_max);
            FLOW29_ASSERT(std::ranges::equal(lengths->encode(), first));
        }
    }
    const auto head = proto::decode_head(raw);
    if (!head) {
        FLOW29_ASSERT(head.error().code == Errc::peer_misbehaved ||
                      head.error().code == Errc::verification_failed);
        return 0;
    }
    const bool numbered = proto::is_request(head->message) || proto::is_reply(head->message);
    FLOW29_ASSERT(numbered == (head->request != 0));
    FLOW29_ASSERT(!(proto::is_request(head->message) && proto::is_reply(head->message)));
    FLOW29_ASSERT(!proto::message_name(head->message).empty());
    const Bytes encoded = proto::encode_head(head->request, head->message);
    FLOW29_ASSERT(encoded.size() <= limits::frame_head_bytes_max);
    const auto again = proto::decode_head(encoded);
    FLOW29_ASSERT(again && again->request == head->request && again->message == head->message);
    FLOW29_ASSERT(!proto::decode_head(ByteView(encoded).first(encoded.size() - 1)));
    return 0;
}
