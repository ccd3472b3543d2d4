// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/descriptor.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

void decode(ByteView raw, const RootHash& root) {
    const auto descriptor = core::Descriptor::decode(raw, root);
    const auto any = core::Descriptor::parse(raw);
    FLOW29_ASSERT(!any || any->root() == root || !descriptor);
    FLOW29_ASSERT(any || !descriptor);
    if (!descriptor) {
        FLOW29_ASSERT(descriptor.error().code == Errc::peer_misbehaved ||
                      descriptor.error().code == Errc::verification_failed);
        return;
    }
    FLOW29_ASSERT(descriptor->root() == root);
    FLOW29_ASSERT(descriptor->extents.size() == descriptor->layout().extents());
    const auto again = core::Descriptor::decode(descriptor->encode(), root);
    FLOW29_ASSERT(again && *again == *descriptor);
}

}  // namespace

/// A descriptor proves itself: whatever is decoded is of the root that was asked for, and of a
/// right one no octet of what a root commits to can change.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto root = input.id<RootHash>();
    decode({data + size - input.left(), input.left()}, root);

    core::Descriptor descriptor;
    descriptor.kind = static_cast<ObjectKind>(input.flag());
    descriptor.level = static_cast<unsigned>(input.number(limits::extent_level_max));
    const auto extents = input.number(20);
    if (extents != 0)
        descriptor.length =
            ByteCount(((extents - 1) << descriptor.level) * limits::chunk_bytes + 1 +
                      input.number((limits::chunk_bytes << descriptor.level) - 1));
    const auto place = input.number(~std::uint64_t{0});
    const auto change = static_cast<std::uint8_t>(1 + input.number(254));
    for (std::uint64_t i = 0; i < extents; ++i)
        descriptor.extents.push_back(input.id<ExtentHash>());
    auto encoded = descriptor.encode();
    const auto same = core::Descriptor::decode(encoded, descriptor.root());
    FLOW29_ASSERT(same && *same == descriptor);
    encoded[place % encoded.size()] ^= change;
    const auto other = core::Descriptor::decode(encoded, descriptor.root());
    // How it is cut into extents is not in the root, as long as the tree is the same.
    if (other)
        FLOW29_ASSERT(other->kind == descriptor.kind && other->length == descriptor.length &&
                      other->extents == descriptor.extents);
    return 0;
}
