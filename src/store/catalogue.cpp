// SPDX-License-Identifier: GPL-3.0-or-later
#include "store/catalogue.hpp"

#include "core/clock.hpp"
#include "core/log.hpp"
#include "store/cost.hpp"
#include "store/extent_files.hpp"
#include "store/file.hpp"
#include "store/note_table.hpp"
#include "store/rebuild.hpp"
#include "store/schema.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <span>

namespace flow29::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view rebuilt_key = "rebuilt";
constexpr std::string_view schema_key = "schema";
// SQLite's journals lie beside their database under its name.
constexpr std::array journals = {"-wal", "-shm"};

struct Paths {
    explicit Paths(const fs::path& in)
        : directory(in),
          catalogue(in / "catalogue.db"),
          damaged(in / "catalogue.db.damaged"),
          fresh(in / "catalogue.db.new"),
          suspect(in / "catalogue.suspect") {}
    fs::path directory, catalogue, damaged, fresh, suspect;
};

fs::path with(const fs::path& path, const char* suffix) {
    return path.native() + suffix;
}

bool is_there(const fs::path& path) {
    std::error_code code;
    return fs::exists(path, code);
}

void remove_database(const fs::path& path) {
    ::unlink(path.c_str());
    for (const char* const journal : journals)
        ::unlink(with(path, journal).c_str());
}

Result<void> rename_if_there(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno(errno, from.string());
}

/// Either the one or the other has the catalogue, whenever this is cut short.
Result<void> set_aside(const Paths& paths) {
    if (is_there(paths.catalogue)) {
        remove_database(paths.damaged);
        if (auto moved = rename_if_there(paths.catalogue, paths.damaged); !moved) return moved;
    }
    // Its last commits may be in the journal alone.
    for (const char* const journal : journals) {
        auto moved = rename_if_there(with(paths.catalogue, journal), with(paths.damaged, journal));
        if (!moved) return moved;
    }
    return sync_directory(paths.directory);
}

Result<void> note_number(Database& database, std::string_view key, std::int64_t number,
                         ByteCount cost) {
    const std::string text = std::to_string(number);
    const ByteView value(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    NoteTable notes(database);
    return notes.set_setting(key, value, cost);
}

/// Nothing when it was not noted, or cannot be read.
std::optional<std::int64_t> noted_number(Database& database, std::string_view key) {
    NoteTable notes(database);
    const auto value = notes.setting(key);
    if (!value || !*value) return std::nullopt;
    std::int64_t number = 0;
    for (const std::uint8_t digit : **value) {
        if (digit < '0' || digit > '9' || number > (std::int64_t{1} << 50)) return std::nullopt;
        number = number * 10 + (digit - '0');
    }
    return number;
}

Result<void> note_rebuilt(Database& database) {
    const auto now = core::wall_now().time_since_epoch().count();
    const auto digits = std::to_string(now).size();
    return note_number(database, rebuilt_key, now, cost::of_setting(rebuilt_key.size(), digits));
}

/// Version and owner are in the header, where a flipped bit makes the file another program's. So
/// they are noted inside as well.
Result<void> mend_header(Database& database) {
    const auto latest = static_cast<std::int64_t>(schema_steps().size());
    const auto marked = is_marked(database, latest);
    if (!marked) return fail(marked.error());
    if (*marked || noted_number(database, schema_key) != latest) return {};
    core::log::warn("store", "the catalogue's header is damaged; it is mended");
    return mark_version(database, latest);
}

Result<void> note_schema(Database& database) {
    const auto latest = static_cast<std::int64_t>(schema_steps().size());
    if (noted_number(database, schema_key) == latest) return {};
    return note_number(database, schema_key, latest, ByteCount(0));
}

Result<void> make_anew(const Paths& paths) {
    core::log::warn("store",
                    "the catalogue is damaged or gone; it is made anew from what can be read");
    if (auto moved = set_aside(paths); !moved) return moved;
    {
        auto fresh = Database::open(paths.fresh);
        if (!fresh) return fail(std::move(fresh.error()));
        if (auto done = migrate(*fresh, schema_steps()); !done) return done;
        const ExtentFiles files(paths.directory);
        const auto rebuilt = rebuild_catalogue(*fresh, paths.damaged, files);
        if (!rebuilt) return fail(rebuilt.error());
        if (auto noted = note_rebuilt(*fresh); !noted) return noted;
        core::log::warn("store",
                        "the catalogue was made anew: {} objects, {} leases and {} extents as they "
                        "were, {} extents by their files; {} files were damaged",
                        rebuilt->objects, rebuilt->leases, rebuilt->extents, rebuilt->hashed,
                        rebuilt->lost);
        if (auto done = fresh->execute("PRAGMA wal_checkpoint(TRUNCATE)"); !done) return done;
    }
    auto file = File::open(paths.fresh, O_RDONLY);
    if (!file) return fail(std::move(file.error()));
    if (auto synced = file->sync(); !synced) return synced;
    if (::rename(paths.fresh.c_str(), paths.catalogue.c_str()) != 0)
        return fail_errno(errno, paths.catalogue.string());
    ::unlink(paths.suspect.c_str());
    return sync_directory(paths.directory);
}

/// SQLite would wait for whoever writes to a pipe, for good.
Result<void> check_kinds(const fs::path& database) {
    for (const char* const suffix : {"", "-wal", "-shm"}) {
        const fs::path path = with(database, suffix);
        std::error_code unknown;
        if (fs::exists(path, unknown) && !fs::is_regular_file(path, unknown))
            return fail(Errc::file_error, path.string() + ": not a regular file");
    }
    return {};
}

/// What SQLite does not take for damage: versions of its format that it does not know, for which it
/// would not write, or not read, the file (sqlite.org/fileformat.html, 1.3). Requires that it holds
/// something.
bool names_known_format(std::span<const std::uint8_t, 100> header) {
    const auto number_at = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (const std::uint8_t octet : header.subspan(at, 4))
            value = value << 8 | octet;
        return value;
    };
    const auto is_version = [](std::uint8_t octet) { return octet == 1 || octet == 2; };
    constexpr std::uint32_t utf8 = 1;
    return is_version(header[18]) && is_version(header[19]) && number_at(44) <= 4 &&
           number_at(56) <= utf8;
}

Result<Database> open_sound(const fs::path& path) {
    {
        std::array<std::uint8_t, 100> header{};
        const auto file = File::open(path, O_RDONLY);
        const bool holds_something = file && file->read_exactly(ByteCount(0), header);
        if (holds_something && !names_known_format(header))
            return fail(Errc::corrupt_store, "catalogue: of no known format");
    }
    auto database = Database::open(path);
    if (!database) return database;
    if (auto sound = check_structure(*database); !sound) return fail(std::move(sound.error()));
    return database;
}

}  // namespace

Result<Database> open_catalogue(const fs::path& directory) {
    const Paths paths(directory);
    for (const fs::path& database : {paths.catalogue, paths.damaged})
        if (auto sound = check_kinds(database); !sound) return fail(std::move(sound.error()));
    remove_database(paths.fresh);
    const bool missing = !is_there(paths.catalogue);
    bool damaged = is_there(paths.suspect) || (missing && is_there(paths.damaged));
    bool empty = missing;
    if (!damaged && !missing) {
        auto database = open_sound(paths.catalogue);
        damaged = !database && database.error().code == Errc::corrupt_store;
        if (!database && !damaged) return fail(database.error());
        if (database) {
            if (auto mended = mend_header(*database); !mended) return fail(mended.error());
            const auto version = database->integer("PRAGMA user_version");
            if (!version) return fail(version.error());
            empty = *version == 0;
        }
    }
    // It knows none of the files, and they would all be deleted.
    if (empty && ExtentFiles(directory).any()) damaged = true;
    for (;; damaged = true) {
        if (damaged)
            if (auto made = make_anew(paths); !made) return fail(std::move(made.error()));
        auto database = Database::open(paths.catalogue);
        if (!database) return database;
        if (auto done = migrate(*database, schema_steps()); !done)
            return fail(std::move(done.error()));
        auto noted = note_schema(*database);
        if (noted) return database;
        // What it says of its own tables is not what it was.
        if (damaged || noted.error().code != Errc::corrupt_store)
            return fail(std::move(noted.error()));
    }
}

Result<void> suspect_catalogue(const fs::path& directory) {
    const Paths paths(directory);
    auto file = File::open(paths.suspect, O_WRONLY | O_CREAT);
    if (!file) return fail(std::move(file.error()));
    return sync_directory(directory);
}

std::optional<WallTime> rebuilt_at(Database& database) {
    const auto ms = noted_number(database, rebuilt_key);
    if (!ms) return std::nullopt;
    return WallTime(std::chrono::milliseconds(*ms));
}

}  // namespace flow29::store
