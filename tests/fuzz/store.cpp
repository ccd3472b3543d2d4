// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/store.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <memory>

#include "core/layout.hpp"
#include "core/log.hpp"

#include "fixtures.hpp"
#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;
namespace fs = std::filesystem;

Bytes content(std::size_t size, std::uint8_t seed) {
    Bytes data(size);
    std::uint32_t state = seed;
    for (auto& octet : data) {
        state = state * 1'103'515'245U + 12'345U;
        octet = static_cast<std::uint8_t>(state >> 16);
    }
    return data;
}

/// One object of one extent.
struct Object {
    Bytes data;
    std::vector<TreeHash> groups;
    core::Descriptor descriptor;

    Object(std::size_t size, std::uint8_t seed) : data(content(size, seed)) {
        const auto tree = core::GroupTree::build(data, limits::hash_group_level);
        groups.assign(tree.group_hashes().begin(), tree.group_hashes().end());
        descriptor.length = ByteCount(size);
        descriptor.extents = {tree.top()};
    }
    [[nodiscard]] ExtentHash extent() const { return descriptor.extents.front(); }
    [[nodiscard]] RootHash root() const { return descriptor.root(); }
    [[nodiscard]] std::vector<store::NewExtent> arrival() const {
        std::vector<store::NewExtent> extents;
        extents.push_back({extent(), core::Buffer::copy_of(data), groups});
        return extents;
    }
};

/// Two that lie in the catalogue, and one in a file.
const std::vector<Object>& objects() {
    static const std::vector<Object> all{Object(700, 1), Object(20'000, 2), Object(70'000, 3)};
    return all;
}

using Files = std::map<std::string, Bytes>;  // by their paths in the store

/// The files of a store that has all of that, closed.
Files make_store(const fs::path& directory) {
    {
        const auto opened = store::open_disk_store({directory, ByteCount(1ULL << 26)});
        FLOW29_ASSERT(opened.has_value());
        auto& store = **opened;
        for (const auto& object : objects()) {
            FLOW29_ASSERT(store.put_object(object.root(), object.descriptor, "name"));
            auto lease = proto::sample_lease();
            lease.root = object.root();
            lease.expires = fuzz::wall_now() + std::chrono::hours(24);
            lease.sign(proto::sample_identity());
            FLOW29_ASSERT(store.put_lease(lease));
            FLOW29_ASSERT(store.put_extents(object.arrival()));
            core::RangeSet verified;
            verified.insert(0, 512);
            FLOW29_ASSERT(store.set_fetch_progress(object.root(), "part", verified));
            FLOW29_ASSERT(store.add_holders(
                {{proto::ItemId::of(object.extent()), proto::sample_record().node()}}));
        }
        FLOW29_ASSERT(store.put_node_record(proto::sample_record()));
        FLOW29_ASSERT(store.set_setting("up_limit", content(8, 4)));
    }
    Files files;
    for (const auto& entry : fs::recursive_directory_iterator(directory))
        if (entry.is_regular_file() && entry.path().filename() != "lock")
            files[fs::relative(entry.path(), directory).string()] = fuzz::read_file(entry.path());
    return files;
}

void damage(Files& files, fuzz::Input& input) {
    for (unsigned count = 0; !input.empty() && count < 8; ++count) {
        const auto choice = input.octet();
        auto& octets = std::next(files.begin(), choice % static_cast<int>(files.size()))->second;
        if (octets.empty()) continue;
        const auto place = input.number(octets.size() - 1);
        if (choice < 200)
            octets[place] = static_cast<std::uint8_t>(octets[place] ^ (1U + input.octet()));
        else if (choice < 230)
            octets.resize(place);
        else if (choice < 250)
            std::fill_n(octets.begin() + static_cast<std::ptrdiff_t>(place),
                        std::min<std::size_t>(octets.size() - place, input.number(4096)), 0);
        else
            octets.insert(octets.end(), input.number(5000), choice);
    }
}

/// The catalogue, opened beside the store.
class Catalogue {
  public:
    explicit Catalogue(const fs::path& path) {
        sqlite3* opened = nullptr;
        static_cast<void>(sqlite3_open(path.c_str(), &opened));
        database_.reset(opened);
    }
    /// The first column of all rows; nothing when it is too damaged for that.
    std::vector<std::string> column(const std::string& sql) {
        std::vector<std::string> values;
        sqlite3_stmt* prepared = nullptr;
        if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &prepared, nullptr) == SQLITE_OK)
            while (sqlite3_step(prepared) == SQLITE_ROW)
                if (const auto* const text = sqlite3_column_text(prepared, 0))
                    values.emplace_back(reinterpret_cast<const char*>(text));
        sqlite3_finalize(prepared);
        return values;
    }
    void execute(const std::string& sql) {
        static_cast<void>(sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr));
    }

  private:
    struct Close {
        void operator()(sqlite3* database) const { sqlite3_close(database); }
    };
    std::unique_ptr<sqlite3, Close> database_;
};

std::string pick(const std::vector<std::string>& values, fuzz::Input& input) {
    const auto choice = input.octet();
    return values.empty() ? std::string("x") : values[choice % values.size()];
}

/// Changes values of rows while SQLite finds nothing wrong: what a flipped bit does to a cell, and
/// more than that.
void damage_rows(const fs::path& directory, fuzz::Input& input) {
    Catalogue catalogue(directory / "catalogue.db");
    const auto tables = catalogue.column("SELECT name FROM sqlite_master WHERE type = 'table'");
    for (unsigned count = 0; !input.empty() && count < 4; ++count) {
        const auto table = pick(tables, input);
        const auto column =
            pick(catalogue.column("SELECT name FROM pragma_table_info('" + table + "')"), input);
        const auto old = column + ", ";
        std::string value;
        switch (input.octet() % 8) {
            case 0:
                value = "NULL";
                break;
            case 1:
                value = std::to_string(static_cast<std::int64_t>(input.number(~std::uint64_t{0})));
                break;
            case 2:
                value = std::to_string(input.number(300));
                break;
            case 3:
                value = "zeroblob(" + std::to_string(input.number(3000)) + ")";
                break;
            case 4:
                value = "substr(" + old + std::to_string(1 + input.number(100)) + ")";
                break;
            case 5:
                value = "substr(" + old + "1, " + std::to_string(input.number(100)) + ")";
                break;
            case 6:
                value = column + " + " + std::to_string(static_cast<int>(input.number(4)) - 2);
                break;
            default: {
                const auto octets = input.octets(80);
                value = "x'" + to_hex(octets) + "'";
            }
        }
        const auto rows = input.octet();
        const auto where =
            rows % 4 == 0 ? std::string() : " LIMIT 1 OFFSET " + std::to_string(rows % 5);
        catalogue.execute("UPDATE OR REPLACE " + table + " SET " + column + " = " + value +
                          " WHERE " + column + " IN (SELECT " + column + " FROM " + table + where +
                          ")");
        if (rows >= 240) catalogue.execute("DELETE FROM " + pick(tables, input));
    }
}

/// Reads everything in every way. Right or an error, never wrong.
void read_all(store::Store& store) {
    for (const auto& object : objects()) {
        const auto chunks = core::chunks_in(ByteCount(object.data.size()));
        for (const auto first : {std::uint64_t{0}, chunks.value / 2}) {
            const ChunkRange range{ChunkIndex(first), ChunkIndex(chunks.value)};
            const auto slice = store.read(object.extent(), range);
            if (!slice) continue;
            const auto bytes = core::bytes_of(range, ByteCount(object.data.size()));
            FLOW29_ASSERT(std::ranges::equal(
                slice->data.view(),
                ByteView(object.data).subspan(bytes.first.value, bytes.count().value)));
            FLOW29_ASSERT(core::verify_range(object.extent(), chunks, range, slice->data.view(),
                                             slice->proof));
        }
        const auto descriptor = store.descriptor(object.root());
        FLOW29_ASSERT(!descriptor || *descriptor == object.descriptor);
        static_cast<void>(store.object(object.root()));
        static_cast<void>(store.roots_of(object.extent()));
        static_cast<void>(store.extent_length(object.extent()));
        for (const auto& lease : store.leases(object.root()))
            FLOW29_ASSERT(proto::Lease::decode(lease.encode()).has_value());
        static_cast<void>(store.fetch_progress(object.root(), "part"));
        static_cast<void>(store.holders({proto::ItemId::of(object.extent())}));
    }
    static_cast<void>(store.objects());
    static_cast<void>(store.usage());
    static_cast<void>(store.setting("up_limit"));
    static_cast<void>(store.withdrawals(100));
    for (const auto& record : store.node_records(100))
        FLOW29_ASSERT(proto::NodeRecord::decode(record.encode()).has_value());
    static_cast<void>(store.used_by(proto::sample_identity().public_key(), fuzz::wall_now()));
}

}  // namespace

/// A store whose files were damaged while it was closed: it opens or says why not, and whatever it
/// then gives is right.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    core::log::set_level(core::log::Level::error);
    static const fuzz::Place place;
    static const Files pristine = make_store(place.path() / "pristine");
    const auto directory = place.path() / "store";
    fuzz::Input input(data, size);
    const auto ways = input.octet();
    auto files = pristine;
    if (ways < 128) damage(files, input);
    fs::remove_all(directory);
    for (const auto& [name, octets] : files) {
        fs::create_directories((directory / name).parent_path());
        fuzz::write_file(directory / name, octets);
    }
    if (ways >= 128) damage_rows(directory, input);
    const auto opened = store::open_disk_store({directory, ByteCount(1ULL << 26)});
    if (!opened) return 0;
    auto& store = **opened;
    read_all(store);
    for (const auto& object : objects()) {
        if (ways % 2 == 0) static_cast<void>(store.scrub(object.extent()));
        if (ways % 4 < 2) static_cast<void>(store.put_object(object.root(), object.descriptor, ""));
        if (ways % 8 < 4) static_cast<void>(store.put_extents(object.arrival()));
    }
    if (ways % 16 < 8) static_cast<void>(store.collect(fuzz::wall_now()));
    read_all(store);
    return 0;
}
