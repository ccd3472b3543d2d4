// SPDX-License-Identifier: GPL-3.0-or-later
#include "support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <set>

namespace flow29::store::test {
namespace {

constexpr ByteCount capacity{1024ULL * 1024 * 1024};

std::size_t size_of(std::uint64_t number) {
    constexpr std::array<std::size_t, 4> sizes = {300, 20'000, 70'000, 200'000};
    return sizes[number % sizes.size()] + number;
}

/// The three extents that are put together.
std::vector<NewExtent> batch_of(std::uint64_t number) {
    std::vector<NewExtent> batch;
    for (std::uint64_t seed = 3 * number; seed < 3 * number + 3; ++seed)
        batch.push_back(make_extent(seed, size_of(seed)));
    return batch;
}

/// Stores batch after batch and writes the number of each acknowledged one to `acks`. Runs in a
/// child and never returns.
[[noreturn]] void store_for_ever(const fs::path& path, std::uint64_t first, int acks) {
    auto store = open_disk_store({path, capacity});
    if (!store) ::_exit(1);
    for (std::uint64_t number = first;; ++number) {
        if (!(*store)->put_extents(batch_of(number))) ::_exit(2);
        if (::write(acks, &number, sizeof number) != sizeof number) ::_exit(3);
    }
}

struct Run {
    std::vector<std::uint64_t> acknowledged;
    std::uint64_t next = 0;  // nothing from here on was begun
};

/// Lets a child store, and kills it `delay` after its `acks_before`-th acknowledgement.
Run run_and_kill(const fs::path& path, std::uint64_t first, unsigned acks_before,
                 std::chrono::microseconds delay) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        store_for_ever(path, first, ends[1]);
    }
    ::close(ends[1]);
    Run run;
    std::uint64_t number = 0;
    while (run.acknowledged.size() < acks_before &&
           ::read(ends[0], &number, sizeof number) == sizeof number)
        run.acknowledged.push_back(number);
    ::usleep(static_cast<useconds_t>(delay.count()));
    REQUIRE(::kill(child, SIGKILL) == 0);
    while (::read(ends[0], &number, sizeof number) == sizeof number)
        run.acknowledged.push_back(number);
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    // The one after the last acknowledged may have been under way.
    run.next = (run.acknowledged.empty() ? first : run.acknowledged.back() + 1) + 1;
    return run;
}

TEST_CASE("what was acknowledged survives kill -9, and what was not is absent or whole") {
    const TemporaryDirectory directory;
    std::mt19937_64 random(2029);
    std::set<std::uint64_t> acknowledged;
    std::uint64_t first = 0;
    unsigned unfinished = 0;
    unsigned whole_unacknowledged = 0;
    for (int round = 0; round < 50; ++round) {
        CAPTURE(round);
        const unsigned acks_before = static_cast<unsigned>(random() % 4);
        const std::chrono::microseconds delay(random() % 30'000);
        const Run run = run_and_kill(directory.path(), first, acks_before, delay);
        acknowledged.insert(run.acknowledged.begin(), run.acknowledged.end());

        const auto store = open_disk_store({directory.path(), capacity});
        REQUIRE_MESSAGE(store, (store ? std::string() : store.error().message()));
        for (std::uint64_t number = first; number < run.next; ++number) {
            std::size_t held = 0;
            for (const NewExtent& extent : batch_of(number)) {
                if (!(*store)->has_extent(extent.hash)) continue;
                ++held;
                require_readable(**store, extent);
            }
            // One transaction a batch: all of it or nothing.
            const bool all_or_nothing = held == 0 || held == 3;
            REQUIRE(all_or_nothing);
            if (acknowledged.contains(number))
                REQUIRE(held == 3);
            else
                ++(held == 0 ? unfinished : whole_unacknowledged);
        }
        REQUIRE(fs::is_empty(directory.path() / "tmp"));
        first = run.next;
    }
    MESSAGE(acknowledged.size(), " batches acknowledged; of the others ", unfinished,
            " absent and ", whole_unacknowledged, " whole");
    CHECK(acknowledged.size() > 50);

    const auto store = open_disk_store({directory.path(), capacity});
    REQUIRE(store);
    for (const std::uint64_t number : acknowledged) {
        for (const NewExtent& extent : batch_of(number))
            require_readable(**store, extent);
    }
    // No file without a row is left either: extents over 64 KiB and files agree.
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory.path() / "extents"))
        files += entry.is_regular_file() ? 1 : 0;
    CHECK(files <= (*store)->usage().extents);
}

}  // namespace
}  // namespace flow29::store::test
