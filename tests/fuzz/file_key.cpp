// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/file_key.hpp"

#include "core/base32.hpp"
#include "input.hpp"

/// A key is read from one text only; a derived one is read back from its own; and what is encrypted
/// whole is decrypted in two parts, wherever they meet.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace flow29;
    const auto text = fuzz::text_of(data, size);
    if (const auto octets = core::octets_of_base32(text)) {
        const auto again = core::base32_of(*octets);
        FLOW29_ASSERT(again.size() == text.size() && core::octets_of_base32(again) == *octets);
    }
    const auto root = *RootHash::from(Bytes(RootHash::size, 7));
    if (const auto key = core::FileKey::parse(text, root))
        FLOW29_ASSERT(core::FileKey::parse(key->to_text(root), root).has_value());

    fuzz::Input input(data, size);
    const auto kind = input.flag() ? ObjectKind::directory : ObjectKind::file;
    const auto offset = input.number(~std::uint64_t{0} >> 1);
    const auto secret = input.octets(64);
    const auto key = core::FileKey::derive(secret, kind, root);
    const auto read = core::FileKey::parse(key.to_text(root), root);
    FLOW29_ASSERT(read && read->kind() == kind);
    const auto cut = static_cast<std::size_t>(input.number(300));
    const auto plain = input.octets(300);
    Bytes content(plain.begin(), plain.end());
    key.apply(offset, content);
    const auto first = std::min(cut, content.size());
    read->apply(offset, std::span(content).first(first));
    read->apply(offset + first, std::span(content).subspan(first));
    FLOW29_ASSERT(std::equal(content.begin(), content.end(), plain.begin(), plain.end()));
    return 0;
}
