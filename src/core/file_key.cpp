// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/file_key.hpp"

#include <nettle/aes.h>
#include <nettle/ctr.h>

#include <algorithm>
#include <array>

#include "core/assert.hpp"
#include "core/base32.hpp"
#include "core/kdf.hpp"

namespace flow29::core {
namespace {

constexpr std::string_view key_domain = "29 flow private object 1";
constexpr std::string_view check_domain = "29 flow private link 1";
constexpr std::size_t check_bytes = 4;
constexpr std::size_t text_bytes = 1 + FileKey::key_bytes + check_bytes;

using Key = std::array<std::uint8_t, FileKey::key_bytes>;
using Check = std::array<std::uint8_t, check_bytes>;
using Block = std::array<std::uint8_t, AES_BLOCK_SIZE>;

ByteView octets(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void encrypt_blocks(const void* context, std::size_t length, std::uint8_t* out,
                    const std::uint8_t* in) {
    aes256_encrypt(static_cast<const aes256_ctx*>(context), length, out, in);
}

Check check_of(ByteView key, ObjectKind kind, const RootHash& root) {
    const std::array<std::uint8_t, 1> kind_octet{static_cast<std::uint8_t>(kind)};
    const auto mac = hmac_sha256(key, {octets(check_domain), kind_octet, root.view()});
    Check check{};
    std::copy_n(mac.begin(), check.size(), check.begin());
    return check;
}

/// The counter of the block that `offset` lies in: the block's number, big-endian.
Block counter_at(std::uint64_t offset) {
    Block counter{};
    auto number = offset / AES_BLOCK_SIZE;
    for (std::size_t i = counter.size(); number != 0; number >>= 8U)
        counter[--i] = static_cast<std::uint8_t>(number);
    return counter;
}

}  // namespace

struct FileKey::State {
    Key key;
    aes256_ctx cipher{};
};

FileKey::FileKey(ObjectKind kind, ByteView key) : kind_(kind) {
    FLOW29_ASSERT(key.size() == key_bytes);
    const auto state = std::make_shared<State>();
    std::ranges::copy(key, state->key.begin());
    aes256_set_encrypt_key(&state->cipher, state->key.data());
    state_ = state;
}

FileKey FileKey::derive(ByteView secret, ObjectKind kind, const RootHash& plain_root) {
    FLOW29_ASSERT(kind == ObjectKind::file || kind == ObjectKind::directory);
    return {kind, hkdf_sha256(octets(key_domain), secret, plain_root.view(), key_bytes)};
}

std::string FileKey::to_text(const RootHash& root) const {
    Bytes raw{static_cast<std::uint8_t>(kind_)};
    raw.insert(raw.end(), state_->key.begin(), state_->key.end());
    const auto check = check_of(state_->key, kind_, root);
    raw.insert(raw.end(), check.begin(), check.end());
    return base32_of(raw);
}

Result<FileKey> FileKey::parse(std::string_view text, const RootHash& root) {
    const auto raw = octets_of_base32(text);
    if (!raw || raw->size() != text_bytes)
        return fail(Errc::usage,
                    "what follows #k= in the link is not a key: it has 60 characters "
                    "of a-z and 2-7");
    const auto kind = static_cast<ObjectKind>(raw->front());
    const ByteView key = ByteView(*raw).subspan(1, key_bytes);
    const auto check = check_of(key, kind, root);
    const bool is_its = equal_secrets(check, ByteView(*raw).last(check_bytes));
    if (!is_its || (kind != ObjectKind::file && kind != ObjectKind::directory))
        return fail(Errc::verification_failed,
                    "the key in the link is not this object's, or was mistyped");
    return FileKey(kind, key);
}

void FileKey::apply(std::uint64_t offset, std::span<std::uint8_t> data) const {
    auto counter = counter_at(offset);
    const std::size_t inside = offset % AES_BLOCK_SIZE;
    if (inside != 0) {
        const std::size_t part = std::min(data.size(), AES_BLOCK_SIZE - inside);
        Block block{};
        std::ranges::copy(data.first(part), block.begin() + static_cast<std::ptrdiff_t>(inside));
        ctr_crypt(&state_->cipher, encrypt_blocks, block.size(), counter.data(), block.size(),
                  block.data(), block.data());
        std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(inside), part, data.begin());
        data = data.subspan(part);
    }
    if (data.empty()) return;
    ctr_crypt(&state_->cipher, encrypt_blocks, AES_BLOCK_SIZE, counter.data(), data.size(),
              data.data(), data.data());
}

}  // namespace flow29::core
