// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fault/arena.hpp"
#include "fault/scene.hpp"
#include "fault/script.hpp"

namespace flow29::fault {

/// As in the name of a trial: io_error.
[[nodiscard]] std::optional<Kind> kind_from(std::string_view name);

/// One fault of one run.
struct Trial {
    Part part = Part::all;
    std::uint64_t point = 0;
    Kind kind = Kind::none;
    bool sticky = false;

    /// As on the command line: all:17:torn, restart:3:no_space:sticky.
    [[nodiscard]] std::string name() const;
    [[nodiscard]] static std::optional<Trial> from(const std::string& name);
};

/// Every fault at every point: once, and where the process lives on, from there on as well.
[[nodiscard]] std::vector<Trial> trials_of(Part part, const std::vector<Op>& points);

/// Runs and checks in children, one after the other, below a directory of its own.
class Runs {
  public:
    Runs(Scene& scene, std::filesystem::path directory);

    /// The points of a run without a fault.
    [[nodiscard]] std::vector<Op> points_of(Part part);
    /// What was wrong; empty when nothing was.
    [[nodiscard]] std::string run(const Trial& trial);
    /// Whether the fault of the last run came to pass. Where threads or clocks decide, a run may be
    /// over before.
    [[nodiscard]] bool was_hit() { return arena_.control().hits != 0; }

  private:
    void prepare(Part part);

    Scene& scene_;  // owned by the program
    std::filesystem::path directory_;
    Arena arena_;
    bool is_prepared_ = false;
    TimePoint prepared_until_{};
};

/// Says "begun", then runs round after round in `directory`, without faults of our own, until the
/// process is killed. What was acknowledged is in the arena.
[[noreturn]] void work(Scene& scene, const std::filesystem::path& directory, Arena& arena);
/// Restarts what `work` left; what was wrong.
[[nodiscard]] std::string check_work(Scene& scene, const std::filesystem::path& directory,
                                     Arena& arena);

}  // namespace flow29::fault
