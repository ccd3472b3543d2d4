// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

#include "fault/arena.hpp"
#include "fault/scene.hpp"

namespace flow29::fault {

/// What a node does while its disk fails it.
enum class Step : std::uint8_t {
    open,  ///< of the store; in a new directory it is made
    join,
    publish_large,
    publish_small,
    fetch_file,
    fetch_tree,
    repair,    ///< a holder goes, and this node makes the copies that are missing
    pin,       ///< what was fetched becomes the store's own
    withdraw,  ///< of what was published first; it is collected then
    collect,   ///< of whatever nothing keeps
};
inline constexpr std::array<std::string_view, 10> step_names = {"open",
                                                                "join",
                                                                "publish a large file",
                                                                "publish a small file",
                                                                "fetch a file",
                                                                "fetch a directory",
                                                                "repair",
                                                                "pin",
                                                                "withdraw",
                                                                "collect"};

/// Where a run's files are: below one directory, where the faults are.
struct Places {
    std::filesystem::path directory;
    std::uint32_t round = 0;

    [[nodiscard]] std::filesystem::path data() const { return directory / "data"; }
    /// Of the round, so that each has something to fetch.
    [[nodiscard]] std::filesystem::path out() const { return out(round); }
    [[nodiscard]] std::filesystem::path out(std::uint32_t of) const {
        return directory / fmt::format("out{}", of);
    }
    [[nodiscard]] std::filesystem::path file() const { return out() / "file"; }
    [[nodiscard]] std::filesystem::path tree() const { return out() / "tree"; }
};

inline constexpr ByteCount store_capacity{4ULL << 30};

/// What a round publishes.
[[nodiscard]] Bytes large_content(std::uint32_t round);
[[nodiscard]] Bytes small_content(std::uint32_t round);

/// How much of the script is run.
enum class Part : std::uint8_t { all, restart };  // restart: open and join

/// Runs the script with the faults that the arena's control asks for, and notes in the arena what
/// was acknowledged. Blames a step that fails without a fault or for another reason, or again when
/// the fault was there once only.
void run_script(Scene& scene, const Places& places, Part part, Arena& arena);

}  // namespace flow29::fault
