// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "core/pack.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

bool is_inside(const void* part, std::size_t size, ByteView whole) {
    const auto* const first = static_cast<const std::uint8_t*>(part);
    return size == 0 || (first >= whole.data() && first + size <= whole.data() + whole.size());
}

/// Reads fields in whatever way the input says. Every read takes one field or fails for good.
void walk(core::FieldReader& in, fuzz::Input& choices, ByteView raw, unsigned depth) {
    FLOW29_ASSERT(depth <= limits::msgpack_depth_max);
    while (in.ok() && in.remaining() > 0) {
        const auto before = in.remaining();
        const auto choice = choices.octet();
        bool consumed = true;
        if (choice % 6 == 0) {
            const auto max = choices.number(~std::uint64_t{0});
            FLOW29_ASSERT(in.uint(max) <= max);
        } else if (choice % 6 == 1) {
            static_cast<void>(in.boolean());
        } else if (choice % 6 == 2) {
            const auto octets = in.bin(choice);
            FLOW29_ASSERT(octets.size() <= choice && is_inside(octets.data(), octets.size(), raw));
        } else if (choice % 6 == 3) {
            const auto text = in.str(choice);
            FLOW29_ASSERT(text.size() <= choice && is_inside(text.data(), text.size(), raw));
        } else if (choice % 6 == 4) {
            auto inner = in.array(choice);
            FLOW29_ASSERT(inner.remaining() <= choice && inner.ok() == in.ok());
            walk(inner, choices, raw, depth + 1);
            if (choice >= 128) in.require(inner);
        } else {
            consumed = in.skip_nil();
            if (!consumed) static_cast<void>(in.id<TreeHash>());
        }
        FLOW29_ASSERT(!in.ok() || in.remaining() + 1 == before);
        FLOW29_ASSERT(in.ok() || (in.remaining() == 0 && in.uint() == 0 && in.bin(9).empty()));
    }
}

}  // namespace

/// msgpack: what is read lies in the input, and is within the bounds that the reader gives. Half
/// the input decides how it is read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView whole(data, size);
    const auto raw = whole.first(size / 2 + size % 2);
    fuzz::Input choices(data + raw.size(), size - raw.size());
    for (const auto part : {raw, whole}) {
        const auto document = core::Document::parse(part);
        if (!document) {
            FLOW29_ASSERT(document.error().code == Errc::peer_misbehaved);
            continue;
        }
        auto fields = document->fields();
        FLOW29_ASSERT(fields.ok() && fields.remaining() < part.size());
        walk(fields, choices, part, 1);
        FLOW29_ASSERT(!core::Document::parse(part.first(part.size() - 1)));
    }
    return 0;
}
