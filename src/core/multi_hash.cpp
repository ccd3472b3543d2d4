// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/multi_hash.hpp"

#ifdef FLOW29_IPSEC_MB
#include <intel-ipsec-mb.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "core/assert.hpp"
#include "core/hash.hpp"
#endif

namespace flow29::core {

#ifdef FLOW29_IPSEC_MB
namespace {

constexpr std::size_t lanes = 16;        // of the widest registers
constexpr std::size_t batch_parts = 64;  // small enough that copies stay in the nearest cache
constexpr std::size_t part_bytes_max = limits::chunk_bytes;
constexpr std::size_t digest_bytes = std::tuple_size_v<Sha256Digest>;

/// The library's own: its scheduler and the registers' state. Not for several threads.
class Manager {
  public:
    Manager() : manager_(alloc_mb_mgr(0)) {
        if (manager_ == nullptr) return;
        IMB_ARCH arch = IMB_ARCH_NONE;
        init_mb_mgr_auto(manager_.get(), &arch);
        // Processors that it has no fast code for are left to the caller.
        if (arch < IMB_ARCH_SSE || imb_get_errno(manager_.get()) != 0) manager_.reset();
    }
    [[nodiscard]] bool usable() const { return manager_ != nullptr; }

    /// Hashes `count` messages, at most batch_parts.
    void hash(std::uint8_t prefix, const std::uint8_t* parts, std::size_t part_bytes,
              std::size_t count, std::uint8_t* out) {
        IMB_MGR* const manager = manager_.get();
        for (std::size_t i = 0; i < count; ++i) {
            std::uint8_t* const message = messages_[i].data();
            message[0] = prefix;
            std::memcpy(message + 1, parts + i * part_bytes, part_bytes);
            IMB_JOB* const job = IMB_GET_NEXT_JOB(manager);
            job->cipher_mode = IMB_CIPHER_NULL;
            job->cipher_direction = IMB_DIR_ENCRYPT;
            job->chain_order = IMB_ORDER_HASH_CIPHER;
            job->hash_alg = IMB_AUTH_SHA_256;
            job->src = message;
            job->hash_start_src_offset_in_bytes = 0;
            job->msg_len_to_hash_in_bytes = part_bytes + 1;
            job->msg_len_to_cipher_in_bytes = 0;
            job->auth_tag_output = out + i * digest_bytes;
            job->auth_tag_output_len_in_bytes = digest_bytes;
            check(IMB_SUBMIT_JOB_NOCHECK(manager));
        }
        while (IMB_JOB* const done = IMB_FLUSH_JOB(manager))
            check(done);
    }

  private:
    static void check(const IMB_JOB* done) {
        if (done != nullptr) FLOW29_ASSERT(done->status == IMB_STATUS_COMPLETED);
    }

    struct Free {
        void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
    };
    std::unique_ptr<IMB_MGR, Free> manager_;
    std::array<std::array<std::uint8_t, part_bytes_max + 16>, batch_parts> messages_;
};

}  // namespace

std::size_t hash_parts(std::uint8_t prefix, ByteView data, std::size_t part_bytes,
                       std::span<std::uint8_t> out) {
    FLOW29_ASSERT(part_bytes > 0 && part_bytes <= part_bytes_max);
    const std::size_t count = data.size() / part_bytes;
    if (count < lanes) return 0;
    thread_local Manager manager;
    if (!manager.usable()) return 0;
    FLOW29_ASSERT(out.size() >= count * digest_bytes);
    for (std::size_t done = 0; done < count; done += batch_parts)
        manager.hash(prefix, data.data() + done * part_bytes, part_bytes,
                     std::min(batch_parts, count - done), out.data() + done * digest_bytes);
    return count;
}
#else
std::size_t hash_parts(std::uint8_t, ByteView, std::size_t, std::span<std::uint8_t>) {
    return 0;
}
#endif

}  // namespace flow29::core
