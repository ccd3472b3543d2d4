// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/fetch_journal.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/hash.hpp"

namespace flow29::node {
namespace {

namespace fs = std::filesystem;

/// A folder of this test's own, and what a journal in it belongs to.
struct Place {
    fs::path folder;
    FetchJournal::Witness witness{7, 8, 9, RootHash{}, std::string(36, 'b')};

    Place() {
        std::string name = (fs::temp_directory_path() / "flow29-journal-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
    }
    ~Place() { fs::remove_all(folder); }

    [[nodiscard]] fs::path file() const { return folder / "journal"; }
    /// What the next attempt would take up.
    [[nodiscard]] core::RangeSet reopened(const FetchJournal::Witness& as) const {
        FetchJournal journal(file());
        return open(journal, as);
    }
    static core::RangeSet open(FetchJournal& journal, const FetchJournal::Witness& as) {
        return journal.open(as, {}, [](std::uint64_t first, std::span<std::uint8_t> out) {
            for (std::size_t i = 0; i < out.size(); ++i)
                out[i] = octet(first + i);
            return true;
        });
    }
    static void add(FetchJournal& journal, std::uint64_t first, std::uint64_t last) {
        Bytes bytes(last - first);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = octet(first + i);
        journal.add(first, bytes);
    }
    static std::uint8_t octet(std::uint64_t at) { return static_cast<std::uint8_t>(at * 7 / 512); }
};

core::RangeSet ranges(std::initializer_list<std::pair<std::uint64_t, std::uint64_t>> all) {
    core::RangeSet set;
    for (const auto& [first, last] : all)
        set.insert(first, last);
    return set;
}

TEST_CASE("what was added is there for the next attempt, and for the one after it") {
    const Place place;
    {
        FetchJournal journal(place.file());
        CHECK(Place::open(journal, place.witness).empty());
        Place::add(journal, 0, 1024);
        Place::add(journal, 4096, 8192);
        Place::add(journal, 1024, 2048);
        Place::add(journal, 5, 5);
    }
    const auto expected = ranges({{0, 2048}, {4096, 8192}});
    CHECK(place.reopened(place.witness) == expected);
    CHECK(place.reopened(place.witness) == expected);
    FetchJournal journal(place.file());
    (void)Place::open(journal, place.witness);
    journal.remove();
    CHECK_FALSE(fs::exists(place.file()));
}

TEST_CASE("hashes that are known already count as those that are computed") {
    const Place place;
    {
        FetchJournal journal(place.file());
        (void)Place::open(journal, place.witness);
        const auto add = [&journal](std::uint64_t first, std::size_t count, bool is_known_wrong) {
            Bytes bytes(2048);
            for (std::size_t i = 0; i < bytes.size(); ++i)
                bytes[i] = Place::octet(first + i);
            std::vector<ChunkHash> leaves(4);
            core::leaf_hashes(bytes, leaves);
            leaves[0].bytes[0] ^= is_known_wrong ? 1 : 0;
            journal.add(first, ByteView(bytes).first(count), leaves);
        };
        // A run that ends inside a chunk, with the hash of that whole chunk, which is another.
        add(0, 1900, false);
        add(4096, 1024, false);
        add(8192, 1024, true);
    }
    CHECK(place.reopened(place.witness) == ranges({{0, 1900}, {4096, 5120}}));
}

TEST_CASE("a process that is killed loses nothing that it added") {
    const Place place;
    const pid_t child = ::fork();
    if (child == 0) {
        FetchJournal journal(place.file());
        (void)Place::open(journal, place.witness);
        for (std::uint64_t i = 0; i < 10'000; ++i)
            Place::add(journal, 2 * i * 512, (2 * i + 1) * 512);
        ::_exit(0);  // nothing is closed or flushed
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const auto found = place.reopened(place.witness);
    CHECK(found.size() == 10'000 * 512);
    CHECK(found.contains(2 * 9'999 * 512));
}

TEST_CASE("the journal of another file, object, part, or run of the machine does not count") {
    const Place place;
    const auto fill = [&place] {
        FetchJournal journal(place.file());
        (void)Place::open(journal, place.witness);
        Place::add(journal, 0, 512);
    };
    auto other = place.witness;
    SUBCASE("device") {
        ++other.device;
    }
    SUBCASE("inode") {
        ++other.inode;
    }
    SUBCASE("origin") {
        ++other.origin;
    }
    SUBCASE("root") {
        other.root.bytes[31] = 1;
    }
    SUBCASE("boot") {
        other.boot_id.back() = 'c';
    }
    fill();
    CHECK(place.reopened(other).empty());
    // It is the other's now.
    CHECK(place.reopened(place.witness).empty());
}

TEST_CASE("what is known already is not looked at, and what has changed does not count") {
    const Place place;
    {
        FetchJournal journal(place.file());
        (void)Place::open(journal, place.witness);
        for (const std::uint64_t first : {0, 1024, 2048, 3072})
            Place::add(journal, first, first + 512);
    }
    FetchJournal journal(place.file());
    const auto found = journal.open(place.witness, ranges({{1024, 1536}}),
                                    [](std::uint64_t first, std::span<std::uint8_t> out) {
                                        CHECK(first != 1024);
                                        for (std::size_t i = 0; i < out.size(); ++i)
                                            out[i] = Place::octet(first + i);
                                        if (first == 2048) out.back() ^= 1;
                                        return first != 3072;
                                    });
    CHECK(found == ranges({{0, 512}}));
}

TEST_CASE("without a boot id nothing is kept") {
    const Place place;
    auto unknown = place.witness;
    unknown.boot_id.clear();
    FetchJournal journal(place.file());
    CHECK(Place::open(journal, unknown).empty());
    Place::add(journal, 0, 512);
    CHECK_FALSE(fs::exists(place.file()));
}

TEST_CASE("of a torn or damaged journal, what is before the damage counts") {
    const Place place;
    {
        FetchJournal journal(place.file());
        (void)Place::open(journal, place.witness);
        for (std::uint64_t i = 0; i < 4; ++i)
            Place::add(journal, i * 1024, i * 1024 + 512);
    }
    const auto size = fs::file_size(place.file());
    SUBCASE("torn") {
        fs::resize_file(place.file(), size - 1);
        CHECK(place.reopened(place.witness) == ranges({{0, 512}, {1024, 1536}, {2048, 2560}}));
    }
    SUBCASE("damaged") {
        std::fstream file(place.file(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(size) - 3 * 24);
        file.put('x');
        file.close();
        CHECK(place.reopened(place.witness) == ranges({{0, 512}}));
    }
    SUBCASE("empty") {
        fs::resize_file(place.file(), 0);
        CHECK(place.reopened(place.witness).empty());
    }
    SUBCASE("all but the header gone") {
        fs::resize_file(place.file(), size - 4 * 24);
        CHECK(place.reopened(place.witness).empty());
    }
}

TEST_CASE("where no journal can be kept, a fetch goes on without one") {
    const Place place;
    FetchJournal journal(place.folder / "missing" / "journal");
    CHECK(Place::open(journal, place.witness).empty());
    Place::add(journal, 0, 512);
    journal.remove();
}

}  // namespace
}  // namespace flow29::node
