// SPDX-License-Identifier: GPL-3.0-or-later
#include "fault/runs.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sstream>

#include "core/assert.hpp"
#include "fault/check.hpp"

namespace flow29::fault {

namespace fs = std::filesystem;

namespace {

constexpr unsigned run_seconds_max = 120;  // against hanging
constexpr std::array<std::string_view, 9> kind_names = {
    "none",     "kill",        "kill_after", "torn",          "io_error",
    "no_space", "short_write", "power_cut",  "power_cut_some"};
constexpr std::array<std::string_view, 2> part_names = {"all", "restart"};

template <std::size_t N>
std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names,
                                    std::string_view name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names.begin());
}

bool kills(Kind kind) {
    return kind == Kind::kill || kind == Kind::kill_after || kind == Kind::torn ||
           kind == Kind::power_cut || kind == Kind::power_cut_some;
}

/// Runs it in a child; how that ended, as for waitpid.
int in_child(const std::function<void()>& act) {
    const pid_t child = ::fork();
    FLOW29_ASSERT(child >= 0);
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::alarm(run_seconds_max);
        act();
        ::_exit(0);
    }
    int status = 0;
    FLOW29_ASSERT(::waitpid(child, &status, 0) == child);
    return status;
}

std::string ending(int status) {
    if (WIFSIGNALED(status)) return fmt::format("ended by {}\n", ::strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) return fmt::format("exit {}\n", WEXITSTATUS(status));
    return {};
}

std::uint32_t rounds_of(const Arena& arena) {
    return arena.acks() == 0 ? 0 : arena.ack(arena.acks() - 1).round + 1;
}

}  // namespace

std::optional<Kind> kind_from(std::string_view name) {
    const auto index = index_of(kind_names, name);
    if (!index || *index == 0) return std::nullopt;
    return static_cast<Kind>(*index);
}

std::string Trial::name() const {
    return fmt::format("{}:{}:{}{}", part_names[static_cast<std::size_t>(part)], point,
                       kind_names[static_cast<std::size_t>(kind)], sticky ? ":sticky" : "");
}

std::optional<Trial> Trial::from(const std::string& name) {
    std::istringstream words(name);
    std::string part, point, kind, sticky;
    std::getline(words, part, ':');
    std::getline(words, point, ':');
    std::getline(words, kind, ':');
    std::getline(words, sticky, ':');
    const auto part_index = index_of(part_names, part);
    const auto kind_index = index_of(kind_names, kind);
    const bool sound = part_index && kind_index && !point.empty() &&
                       std::ranges::all_of(point, [](char c) { return c >= '0' && c <= '9'; }) &&
                       (sticky.empty() || sticky == "sticky");
    if (!sound) return std::nullopt;
    return Trial{static_cast<Part>(*part_index), std::stoull(point), static_cast<Kind>(*kind_index),
                 !sticky.empty()};
}

std::vector<Trial> trials_of(Part part, const std::vector<Op>& points) {
    std::vector<Trial> trials;
    for (std::size_t point = 0; point < points.size(); ++point) {
        for (std::size_t i = 1; i < kind_names.size(); ++i) {
            const auto kind = static_cast<Kind>(i);
            if (!applies(kind, points[point])) continue;
            trials.push_back({part, point, kind, false});
            if (!kills(kind)) trials.push_back({part, point, kind, true});
        }
    }
    return trials;
}

Runs::Runs(Scene& scene, fs::path directory) : scene_(scene), directory_(std::move(directory)) {
    fs::create_directories(directory_);
}

void Runs::prepare(Part part) {
    const fs::path used = directory_ / "used";
    if (part == Part::restart && !is_prepared_) {
        // As a kill at its very end leaves it: with a journal that is to be taken up.
        fs::create_directories(used);
        arena_.clear();
        arena_.control().at = points_of(Part::all).size() / 2;
        arena_.control().kind = static_cast<std::uint32_t>(Kind::kill);
        (void)in_child([&] { run_script(scene_, {used, 0}, Part::all, arena_); });
        prepared_until_ = arena_.clock();
        is_prepared_ = true;
    }
    const fs::path run = directory_ / "run";
    fs::remove_all(run);
    fs::create_directories(run);
    if (part == Part::restart) fs::copy(used, run, fs::copy_options::recursive);
    arena_.clear();
    if (part == Part::restart) arena_.set_clock(prepared_until_);
}

std::vector<Op> Runs::points_of(Part part) {
    prepare(part);
    const int status = in_child([&] {
        scene_.catch_up(arena_);
        run_script(scene_, {directory_ / "run", 0}, part, arena_);
    });
    arena_.blame(ending(status));
    const Control& control = arena_.control();
    const std::size_t count = std::min<std::size_t>(control.points, Control::ops_max);
    return {control.ops.begin(), control.ops.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::string Runs::run(const Trial& trial) {
    prepare(trial.part);
    const Places places{directory_ / "run", 0};
    Control& control = arena_.control();
    control.at = trial.point;
    control.kind = static_cast<std::uint32_t>(trial.kind);
    control.sticky = trial.sticky ? 1 : 0;
    const int status = in_child([&] {
        scene_.catch_up(arena_);
        run_script(scene_, places, trial.part, arena_);
    });
    const bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    const bool should_be = kills(trial.kind) && control.hits != 0;
    if (was_killed != should_be || !was_killed) {
        const auto how = ending(status);
        if (!how.empty() || should_be) arena_.blame("the run: " + how);
    }
    const int checked = in_child([&] {
        scene_.catch_up(arena_);
        check(scene_, places, arena_);
    });
    if (const auto how = ending(checked); !how.empty()) arena_.blame("the check: " + how);
    auto blamed = arena_.blamed();
    if (blamed.empty()) return {};
    return trial.name() + " at " + control.where.data() + "\n" + blamed;
}

void work(Scene& scene, const fs::path& directory, Arena& arena) {
    scene.catch_up(arena);
    std::puts("begun");
    std::fflush(stdout);
    for (;;) {
        const std::uint32_t round = rounds_of(arena);
        const int status = in_child([&] {
            run_script(scene, {directory, round}, Part::all, arena);
        });
        if (const auto how = ending(status); !how.empty()) {
            std::fputs(how.c_str(), stdout);
            std::exit(1);
        }
        scene.catch_up(arena);
    }
}

std::string check_work(Scene& scene, const fs::path& directory, Arena& arena) {
    const std::uint32_t rounds = rounds_of(arena);
    if (rounds == 0) return {};
    // What a step said when its disk was gone was said to nobody any more.
    arena.forget_blame();
    scene.catch_up(arena);
    const int status = in_child([&] { check(scene, {directory, rounds - 1}, arena); });
    return arena.blamed() + ending(status);
}

}  // namespace flow29::fault
