// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/rebuild.hpp"

#include "core/layout.hpp"
#include "core/log.hpp"
#include "store/checksum.hpp"
#include "store/cost.hpp"
#include "store/extent_table.hpp"
#include "store/file.hpp"
#include "store/note_table.hpp"
#include "store/object_table.hpp"
#include "store/schema.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <bit>
#include <functional>

namespace flow29::store {
namespace {

constexpr std::uint64_t files_per_transaction = 256;
// Of a root that is damaged itself. One of something else differs in some 128.
constexpr int flipped_bits_max = 8;

int differing_bits(const RootHash& a, const RootHash& b) {
    int bits = 0;
    for (std::size_t i = 0; i < RootHash::size; ++i)
        bits += std::popcount(static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]));
    return bits;
}

/// Where the rows of one table come from: from its beginning up to the first page that cannot be
/// read, and from its end down to it.
struct Rows {
    std::string_view upwards;
    std::string_view downwards;
};

constexpr Rows object_rows{
    "SELECT root, name, published, pinned, added, renewal, encoded FROM objects "
    "JOIN descriptors ON object = id ORDER BY id",
    "SELECT root, name, published, pinned, added, renewal, encoded FROM objects "
    "JOIN descriptors ON object = id ORDER BY id DESC"};
constexpr Rows extent_rows{"SELECT id, hash, length, place FROM extents ORDER BY id",
                           "SELECT id, hash, length, place FROM extents ORDER BY id DESC"};
constexpr Rows lease_rows{
    "SELECT encoded, asker, remembered_until FROM leases ORDER BY root, publisher",
    "SELECT encoded, asker, remembered_until FROM leases ORDER BY root DESC, publisher DESC"};
constexpr Rows holder_rows{"SELECT item, node FROM holders ORDER BY item, node",
                           "SELECT item, node FROM holders ORDER BY item DESC, node DESC"};
constexpr Rows node_rows{"SELECT encoded, swarm FROM node_records ORDER BY seen",
                         "SELECT encoded, swarm FROM node_records ORDER BY seen DESC"};
constexpr Rows setting_rows{
    "SELECT key, value FROM settings WHERE checksum = crc32c(key, value) AND key <> 'schema' "
    "ORDER BY key",
    "SELECT key, value FROM settings WHERE checksum = crc32c(key, value) AND key <> 'schema' "
    "ORDER BY key DESC"};

class Rebuilding {
  public:
    Rebuilding(Database& fresh, const ExtentFiles& files) : fresh_(fresh), files_(files) {}

    [[nodiscard]] Result<void> salvage(Database& damaged) {
        using Step = Result<void> (Rebuilding::*)(const Query&);
        const std::pair<Rows, Step> tables[] = {
            {object_rows, &Rebuilding::take_object},   {lease_rows, &Rebuilding::take_lease},
            {holder_rows, &Rebuilding::take_holder},   {node_rows, &Rebuilding::take_node},
            {setting_rows, &Rebuilding::take_setting},
        };
        auto transaction = Transaction::begin(fresh_);
        if (!transaction) return fail(std::move(transaction.error()));
        for (const auto& [rows, step] : tables) {
            const auto take = [this, step = step](const Query& row) { return (this->*step)(row); };
            if (auto done = each(damaged, rows, take); !done) return done;
        }
        ExtentTable known(damaged);
        const auto take = [this, &known](const Query& row) { return take_extent(row, known); };
        if (auto done = each(damaged, extent_rows, take); !done) return done;
        return transaction->commit();
    }

    /// Takes in the files of which the damaged catalogue no longer knew.
    [[nodiscard]] Result<void> hash_files() {
        std::uint64_t looked_at = 0;
        std::optional<Transaction> transaction;
        for (const ExtentHash& hash : files_.all()) {
            if (looked_at++ % files_per_transaction == 0) {
                if (transaction)
                    if (auto done = transaction->commit(); !done) return done;
                transaction.reset();
                auto begun = Transaction::begin(fresh_);
                if (!begun) return fail(std::move(begun.error()));
                transaction.emplace(std::move(*begun));
            }
            if (auto done = hash_file(hash); !done) return done;
        }
        if (transaction) return transaction->commit();
        return {};
    }

    [[nodiscard]] const Rebuilt& rebuilt() const { return rebuilt_; }

  private:
    using Take = std::function<Result<void>(const Query& row)>;

    /// What cannot be read any more ends a direction, what cannot be written ends it all.
    [[nodiscard]] static Result<void> each(Database& damaged, const Rows& rows, const Take& take) {
        for (const std::string_view sql : {rows.upwards, rows.downwards}) {
            Query query = damaged.query(sql);
            for (;;) {
                const auto row = query.step();
                if (!row) break;
                if (!*row) return {};  // all of them came
                if (auto done = take(query); !done) return done;
            }
        }
        return {};
    }

    Result<void> take_object(const Query& row) {
        const auto descriptor = core::Descriptor::parse(row.blob(6));
        if (!descriptor) return {};
        const auto root = descriptor->root();
        if (differing_bits(root, row.id<RootHash>(0)) > flipped_bits_max) return {};
        auto known = objects_.find(root);
        if (!known) return fail(std::move(known.error()));
        if (*known) return {};
        const std::string name(row.text(1));
        const auto cost =
            cost::of_object(row.blob(6).size(), descriptor->extents.size(), name.size());
        const ObjectRow object{.root = root, .name = name, .added = row.time(4), .cost = cost};
        if (auto done = objects_.insert(object, *descriptor); !done) return done;
        const std::int64_t renewal = row.integer(5);
        const bool published = row.boolean(2);
        const bool pinned = row.boolean(3);
        auto inserted = objects_.find(root);
        if (!inserted) return fail(std::move(inserted.error()));
        const std::int64_t id = (*inserted)->id;
        if (auto done = objects_.keep(id, Keep::published, published); !done) return done;
        if (auto done = objects_.keep(id, Keep::pinned, pinned); !done) return done;
        ++rebuilt_.objects;
        return objects_.set_renewal(id, std::chrono::milliseconds(renewal));
    }

    Result<void> take_lease(const Query& row) {
        const auto lease = proto::Lease::decode(row.blob(0));
        if (!lease) return {};
        // The longest life that a lease of this publisher had is remembered beside it.
        const WallTime until = std::max(row.time(2), lease->expires);
        if (auto done = leases_.put(*lease, until, false); !done) return done;
        ++rebuilt_.leases;
        const ByteView asker = row.blob(1);
        return without_count(
            fresh_
                .query("UPDATE leases SET asker = ?3 WHERE root = ?1 AND publisher = ?2",
                       lease->root, lease->publisher, asker)
                .run());
    }

    Result<void> take_holder(const Query& row) {
        if (row.blob(0).size() != 33 || !NodeId::from(row.blob(1))) return {};
        return without_count(
            fresh_
                .query("INSERT OR IGNORE INTO holders (item, node) VALUES (?1, ?2)", row.blob(0),
                       row.blob(1))
                .run());
    }

    Result<void> take_node(const Query& row) {
        const auto record = proto::NodeRecord::decode(row.blob(0));
        if (!record) return {};
        const ByteCount cost(cost::node_record_row + row.blob(0).size());
        const ByteView swarm = row.blob(1);
        return notes_.put_node_record({*record, cost, {swarm.begin(), swarm.end()}});
    }

    Result<void> take_setting(const Query& row) {
        return notes_.set_setting(row.text(0), row.blob(1),
                                  cost::of_setting(row.text(0).size(), row.blob(1).size()));
    }

    Result<void> take_extent(const Query& row, ExtentTable& damaged) {
        ExtentRow extent{.id = row.integer(0),
                         .hash = row.id<ExtentHash>(1),
                         .length = row.bytes(2),
                         .place = static_cast<Place>(row.integer(3)),
                         .cost = {}};
        auto known = extents_.find(extent.hash);
        if (!known) return fail(std::move(known.error()));
        if (*known) return {};
        const auto stored = damaged.load(extent);
        if (!stored) return {};
        const bool is_file = extent.place == Place::file;
        if (is_file && !files_.has(extent.hash)) return {};
        if (!is_file && extent.place != Place::inside && extent.place != Place::reference)
            return {};
        if (is_file != (extent.length.value > cost::inside_bytes_max) &&
            extent.place != Place::reference)
            return {};
        extent.cost = extent.place == Place::reference
                          ? cost::of_reference(extent.length, stored->file.native().size())
                          : cost::of_extent(extent.length);
        // Its data are checked by whoever reads it: what rotted there is dropped then.
        const ExtentContents contents{.group_hashes = stored->tree.group_hashes(),
                                      .checksums = stored->checksums,
                                      .file = stored->file,
                                      .offset = stored->offset,
                                      .data = stored->data.view()};
        ++rebuilt_.extents;
        return extents_.insert(extent, contents);
    }

    Result<void> hash_file(const ExtentHash& hash) {
        auto known = extents_.find(hash);
        if (!known) return fail(std::move(known.error()));
        if (*known) return {};
        const auto data = read_file(files_.path_of(hash));
        if (!data) {
            core::log::warn("store", "{}", data.error().message());
            ++rebuilt_.lost;
            return {};
        }
        const auto tree = core::GroupTree::build(data->view(), limits::hash_group_level);
        if (tree.top() != hash) {
            core::log::warn("store", "extent {} is damaged", to_hex(hash));
            ++rebuilt_.lost;
            return {};
        }
        const ByteCount length(data->size());
        const ExtentRow row{
            .hash = hash, .length = length, .place = Place::file, .cost = cost::of_extent(length)};
        const auto checksums = block_checksums(data->view());
        ++rebuilt_.hashed;
        return extents_.insert(row, {.group_hashes = tree.group_hashes(), .checksums = checksums});
    }

    [[nodiscard]] static Result<core::Buffer> read_file(const std::filesystem::path& path) {
        auto file = File::open_content(path);
        if (!file) return fail(std::move(file.error()));
        struct stat status {};
        if (::fstat(file->descriptor(), &status) != 0) return fail_errno(errno, path.string());
        const auto size = static_cast<std::uint64_t>(status.st_size);
        if (size == 0 || size > limits::extent_bytes_max)
            return fail(Errc::corrupt_store, path.string() + ": not of an extent's length");
        core::Buffer data(size);
        if (auto read = file->read_exactly(ByteCount(0), data.span()); !read)
            return fail(std::move(read.error()));
        return data;
    }

    static Result<void> without_count(Result<std::uint64_t> changed) {
        if (!changed) return fail(std::move(changed.error()));
        return {};
    }

    Database& fresh_;           // owned by whoever rebuilds
    const ExtentFiles& files_;  // likewise
    ExtentTable extents_{fresh_};
    ObjectTable objects_{fresh_};
    LeaseTable leases_{fresh_};
    NoteTable notes_{fresh_};
    Rebuilt rebuilt_;
};

}  // namespace

Result<Rebuilt> rebuild_catalogue(Database& fresh, const std::filesystem::path& damaged,
                                  const ExtentFiles& files) {
    Rebuilding rebuilding(fresh, files);
    auto old = Database::open(damaged);
    if (old) {
        // What is of an earlier version has other columns; a step that fails is one that is not
        // there to be read.
        (void)migrate(*old, schema_steps());
        if (auto done = rebuilding.salvage(*old); !done) return fail(std::move(done.error()));
    }
    if (auto done = rebuilding.hash_files(); !done) return fail(std::move(done.error()));
    return rebuilding.rebuilt();
}

}  // namespace flow29::store
