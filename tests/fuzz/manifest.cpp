// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/limits.hpp>

#include "core/manifest.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

/// What every manifest keeps, however it came to be.
void check(const core::Manifest& manifest) {
    const auto& entries = manifest.entries();
    auto end = ByteCount(manifest.encode().size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        FLOW29_ASSERT(core::check_path(entries[i].path).has_value());
        FLOW29_ASSERT(i == 0 || entries[i - 1].path < entries[i].path);
        FLOW29_ASSERT(manifest.find(entries[i].path) == i &&
                      manifest.below(entries[i].path).empty());
        const auto place = manifest.place(i);
        FLOW29_ASSERT(place.count() == entries[i].length);
        if (place.empty()) continue;
        FLOW29_ASSERT(place.first >= end && place.first.value % limits::chunk_bytes == 0);
        FLOW29_ASSERT(place.first.value - end.value < limits::chunk_bytes);
        FLOW29_ASSERT(manifest.at_or_after(place.first) == i);
        end = place.last;
    }
    FLOW29_ASSERT(end == manifest.object_length());
    FLOW29_ASSERT(manifest.at_or_after(end) == entries.size());
}

void decode(ByteView raw, ByteCount object_length) {
    const auto bytes = core::Manifest::encoded_bytes(raw, object_length);
    const auto manifest = core::Manifest::decode(raw, object_length);
    if (!manifest) {
        FLOW29_ASSERT(manifest.error().code == Errc::refused);
        return;
    }
    FLOW29_ASSERT(bytes && bytes->value == raw.size());
    FLOW29_ASSERT(std::ranges::equal(manifest->encode(), raw));
    FLOW29_ASSERT(manifest->object_length() == object_length);
    check(*manifest);
}

}  // namespace

/// Two octets say how much longer the object is than the manifest, the rest is the manifest; or
/// entries are read from it, and what can be made of them is decoded again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto more = input.number(0xffff);
    const auto raw = input.rest();
    decode(raw, ByteCount(raw.size() + more));
    // With the length that its entries call for, which chance would not find.
    std::vector<DirectoryEntry> entries;
    fuzz::Input fields(raw.data(), raw.size());
    while (!fields.empty() && entries.size() < 64) {
        DirectoryEntry entry;
        const auto choice = fields.octet();
        entry.path = fields.text(choice % 16 == 15 ? 300 : 12);
        entry.type = static_cast<EntryType>(choice % 3);
        entry.length = ByteCount(choice >= 240 ? fields.number(limits::object_bytes_max)
                                               : fields.number(2000));
        if (entry.type == EntryType::empty_directory && choice < 128) entry.length = {};
        if ((more & 1) != 0 && entry.type != EntryType::empty_directory)
            entry.modified = FileTime(std::chrono::nanoseconds(fields.number(1U << 30)));
        entries.push_back(std::move(entry));
    }
    const auto made = core::Manifest::make(entries);
    if (!made) {
        FLOW29_ASSERT(made.error().code == Errc::refused);
        return 0;
    }
    check(*made);
    auto encoded = made->encode();
    decode(encoded, made->object_length());
    FLOW29_ASSERT(core::Manifest::decode(encoded, made->object_length()).has_value());
    FLOW29_ASSERT(!core::Manifest::decode(encoded, made->object_length() + ByteCount(1)));
    if (encoded.empty()) return 0;
    encoded[more % encoded.size()] ^= static_cast<std::uint8_t>(1U << (more >> 13));
    decode(encoded, made->object_length());
    return 0;
}
