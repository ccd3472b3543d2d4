// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/fetch_journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <vector>

#include <flow29/limits.hpp>
#include "core/buffer.hpp"
#include "core/hash.hpp"
#include "core/layout.hpp"
#include "store/checksum.hpp"

namespace flow29::node {

namespace {
constexpr std::size_t boot_id_bytes = 36;
constexpr std::size_t records_at_once = 4096;

struct Header {
    std::array<char, 8> magic{'F', '2', '9', 'J', 'R', 'N', 'L', '2'};
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t origin = 0;
    RootHash root;
    std::array<char, boot_id_bytes> boot_id{};
    std::uint32_t checksum = 0;  // of what is before it
};
static_assert(sizeof(Header) == 104);

struct Record {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint32_t leaves_checksum = 0;
    std::uint32_t checksum = 0;  // of what is before it
};
static_assert(sizeof(Record) == 24);

/// Empty when it is not known. A sandbox may hide the file, and then its unit says it.
std::string read_boot_id() {
    std::string id;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
    const char* const said = std::getenv("FLOW29_BOOT_ID");
    if (id.empty() && said != nullptr) id = said;
    if (!id.empty()) id.resize(boot_id_bytes, '-');
    return id;
}

template <class T>
std::uint32_t checksum_of(const T& value) {
    return store::crc32c({reinterpret_cast<const std::uint8_t*>(&value), offsetof(T, checksum)});
}

Header header_of(const FetchJournal::Witness& witness) {
    Header header;
    header.device = witness.device;
    header.inode = witness.inode;
    header.origin = witness.origin;
    header.root = witness.root;
    std::memcpy(header.boot_id.data(), witness.boot_id.data(), boot_id_bytes);
    header.checksum = checksum_of(header);
    return header;
}

template <class T>
bool append(int fd, const T& value) {
    return ::write(fd, &value, sizeof value) == static_cast<ssize_t>(sizeof value);
}

/// `known` are the hashes of the first chunks, where they are known already.
std::uint32_t checksum_of_leaves(ByteView bytes, std::span<const ChunkHash> known = {}) {
    std::vector<ChunkHash> leaves(core::chunks_in(ByteCount(bytes.size())).value);
    const auto whole = bytes.size() / limits::chunk_bytes;
    const auto given = known.size() < whole ? 0 : whole;
    std::copy_n(known.begin(), given, leaves.begin());
    core::leaf_hashes(bytes.subspan(given * limits::chunk_bytes), std::span(leaves).subspan(given));
    return store::crc32c(
        {reinterpret_cast<const std::uint8_t*>(leaves.data()), leaves.size() * sizeof(ChunkHash)});
}

/// Up to the first record that is damaged or was not finished.
std::vector<Record> read_records(int fd) {
    std::vector<Record> all;
    std::vector<Record> records(records_at_once);
    for (off_t at = sizeof(Header);;) {
        const auto got = ::pread(fd, records.data(), records.size() * sizeof(Record), at);
        const auto whole = got > 0 ? static_cast<std::size_t>(got) / sizeof(Record) : 0;
        if (whole == 0) return all;
        for (const Record& record : std::span(records).first(whole)) {
            const bool sound = record.checksum == checksum_of(record) &&
                               record.first < record.last &&
                               record.last - record.first <= limits::range_bytes_max;
            if (!sound) return all;
            all.push_back(record);
        }
        at += static_cast<off_t>(whole * sizeof(Record));
    }
}
}  // namespace

FetchJournal::Witness FetchJournal::witness_of(int fd, const RootHash& root, ByteCount origin) {
    struct stat status {};
    Witness witness;
    if (::fstat(fd, &status) != 0) return witness;
    witness.device = status.st_dev;
    witness.inode = status.st_ino;
    witness.origin = origin.value;
    witness.root = root;
    witness.boot_id = read_boot_id();
    return witness;
}

core::UniqueFd FetchJournal::open_file(int flags) const {
    // Without O_NONBLOCK, a pipe put in its place would hold this thread for ever.
    auto fd = place_.folder->open(place_.name, flags | O_NONBLOCK | O_NOCTTY,
                                  (flags & O_CREAT) != 0 ? 0600 : 0);
    struct stat status {};
    const bool own = fd && ::fstat(fd->get(), &status) == 0 && S_ISREG(status.st_mode) &&
                     status.st_uid == place_.folder->user() && status.st_nlink == 1;
    return own ? std::move(*fd) : core::UniqueFd();
}

bool FetchJournal::is_of(const RootHash& root, ByteCount origin) const {
    const auto fd = open_file(O_RDONLY);
    Header found;
    return fd && ::pread(fd.get(), &found, sizeof found, 0) == sizeof found &&
           found.magic == Header().magic && found.checksum == checksum_of(found) &&
           found.root == root && found.origin == origin.value;
}

core::RangeSet FetchJournal::open(const Witness& witness, const core::RangeSet& known,
                                  const ReadFn& read) {
    core::RangeSet ranges;
    if (witness.boot_id.size() != boot_id_bytes) return ranges;
    fd_ = open_file(O_RDWR | O_CREAT | O_APPEND);
    if (!fd_) return ranges;
    const Header expected = header_of(witness);
    Header found;
    const bool same = ::pread(fd_.get(), &found, sizeof found, 0) == sizeof found &&
                      std::memcmp(&found, &expected, sizeof found) == 0;
    std::vector<Record> records;
    if (same) records = read_records(fd_.get());
    core::Buffer buffer(limits::range_bytes_max);
    std::erase_if(records, [&](const Record& record) {
        if (known.contains(record.first, record.last)) return true;
        const auto bytes = buffer.span().first(record.last - record.first);
        return !read(record.first, bytes) || checksum_of_leaves(bytes) != record.leaves_checksum;
    });
    // Written anew, so that it grows with what is not noted and not with the number of attempts.
    bool written = ::ftruncate(fd_.get(), 0) == 0 && append(fd_.get(), expected);
    for (const Record& record : records) {
        ranges.insert(record.first, record.last);
        written = written && append(fd_.get(), record);
    }
    // Else a power cut could leave the header of an earlier object over bytes of this one.
    if (!written || ::fdatasync(fd_.get()) != 0) {
        remove();
        return {};
    }
    return ranges;
}

void FetchJournal::add(std::uint64_t first, ByteView bytes, std::span<const ChunkHash> leaves) {
    if (!fd_ || bytes.empty()) return;
    Record record{first, first + bytes.size(), checksum_of_leaves(bytes, leaves)};
    record.checksum = checksum_of(record);
    // A record that does not fit on the disk ends what the next attempt reads, no more.
    (void)append(fd_.get(), record);
}

void FetchJournal::remove() {
    fd_.reset();
    // One that stays is of a file that is not there any more, so it counts for nothing.
    (void)place_.folder->remove(place_.name);
}

}  // namespace flow29::node
