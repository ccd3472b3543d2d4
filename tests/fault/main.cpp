// SPDX-License-Identifier: GPL-3.0-or-later
// Kills, tears and fails every call by which a node changes its disk, in turn, and looks afterwards
// whether everything that was acknowledged is there. `scripts/faults` and `scripts/power-cuts` run
// it.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/assert.hpp"
#include "core/log.hpp"
#include "fault/runs.hpp"

namespace {

namespace fs = std::filesystem;
using namespace flow29::fault;
namespace log = flow29::core::log;

constexpr const char* usage =
    "fault_points [--sample N] [--seed S] [--jobs J] [--directory DIR] [--kind KIND]\n"
    "                                                                    N faults, or all\n"
    "fault_points --trial NAME                                           one, as it was printed\n"
    "fault_points work DIR ARENA | check DIR ARENA                       for scripts/power-cuts\n";

struct Options {
    std::size_t sample = 0;  // 0: all
    std::uint64_t seed = 29;
    unsigned jobs = 1;
    fs::path directory;
    std::optional<Trial> trial;
    std::optional<Kind> kind;  // no other
};

/// What the processes of a run count together.
struct Counts {
    std::atomic<std::size_t> next, hit, wrong;
};

[[noreturn]] void fail_usage() {
    std::fputs(usage, stderr);
    std::exit(2);
}

Options options_of(const std::vector<std::string>& words) {
    Options options;
    for (std::size_t i = 0; i < words.size(); i += 2) {
        if (i + 1 == words.size()) fail_usage();
        const auto& value = words[i + 1];
        if (words[i] == "--sample")
            options.sample = std::stoull(value);
        else if (words[i] == "--seed")
            options.seed = std::stoull(value);
        else if (words[i] == "--jobs")
            options.jobs = static_cast<unsigned>(std::stoul(value));
        else if (words[i] == "--directory")
            options.directory = value;
        else if (words[i] == "--trial")
            options.trial = Trial::from(value);
        else if (words[i] == "--kind")
            options.kind = kind_from(value);
        else
            fail_usage();
        const bool is_sound =
            (words[i] != "--trial" || options.trial) && (words[i] != "--kind" || options.kind);
        if (!is_sound) fail_usage();
    }
    return options;
}

/// A directory of its own, in memory where that can be had.
class Workplace {
  public:
    explicit Workplace(fs::path parent) {
        if (parent.empty())
            parent = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : fs::temp_directory_path();
        std::string name = (parent / "flow29-fault-XXXXXX").string();
        FLOW29_ASSERT(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;
    ~Workplace() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

void run_some(Scene& scene, const fs::path& directory, const std::vector<Trial>& trials,
              Counts& counts) {
    Runs runs(scene, directory);
    for (;;) {
        const std::size_t at = counts.next.fetch_add(1);
        if (at >= trials.size()) return;
        const auto wrong = runs.run(trials[at]);
        if (runs.was_hit()) ++counts.hit;
        if ((at + 1) % 500 == 0) std::fprintf(stderr, "  %zu of %zu\n", at + 1, trials.size());
        if (wrong.empty()) continue;
        ++counts.wrong;
        std::printf("%s\n", wrong.c_str());
        std::fflush(stdout);
    }
}

void print_points(const char* part, const std::vector<Op>& points) {
    std::map<Op, std::size_t> of;
    for (const Op op : points)
        ++of[op];
    std::printf(
        "%s: %zu points: %zu writes, %zu syncs, %zu renames, %zu unlinks, "
        "%zu truncations, %zu creations\n",
        part, points.size(), of[Op::write], of[Op::sync], of[Op::rename], of[Op::unlink],
        of[Op::truncate], of[Op::create]);
}

int run_trials(Scene& scene, const Options& options) {
    const Workplace workplace(options.directory);
    std::vector<Trial> trials;
    if (options.trial) {
        trials.push_back(*options.trial);
    } else {
        Runs runs(scene, workplace.path() / "first");
        const auto all = runs.points_of(Part::all);
        const auto restart = runs.points_of(Part::restart);
        print_points("publish, fetch, repair, pin, withdraw, collect", all);
        print_points("restart of a killed node", restart);
        trials = trials_of(Part::all, all);
        const auto more = trials_of(Part::restart, restart);
        trials.insert(trials.end(), more.begin(), more.end());
        if (options.kind)
            std::erase_if(trials, [&](const Trial& trial) { return trial.kind != options.kind; });
    }
    std::mt19937_64 random(options.seed);
    std::ranges::shuffle(trials, random);
    const std::size_t possible = trials.size();
    if (options.sample != 0 && options.sample < trials.size()) trials.resize(options.sample);
    std::printf("%zu of %zu faults, seed %llu\n", trials.size(), possible,
                static_cast<unsigned long long>(options.seed));
    std::fflush(stdout);

    void* const memory =
        ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FLOW29_ASSERT(memory != MAP_FAILED);
    Counts& counts = *new (memory) Counts{};
    for (unsigned job = 0; job < options.jobs; ++job) {
        const pid_t child = ::fork();
        FLOW29_ASSERT(child >= 0);
        if (child != 0) continue;
        run_some(scene, workplace.path() / std::to_string(job), trials, counts);
        ::_exit(0);
    }
    bool all_ended = true;
    for (unsigned job = 0; job < options.jobs; ++job) {
        int status = 0;
        all_ended = ::wait(&status) > 0 && status == 0 && all_ended;
    }
    std::printf("%zu faults, %zu came to pass, %zu with something lost, torn or left behind\n",
                trials.size(), counts.hit.load(), counts.wrong.load());
    return all_ended && counts.wrong == 0 && counts.hit != 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    log::set_level(log::Level::error);
    Scene scene;
    const bool is_work = !words.empty() && (words[0] == "work" || words[0] == "check");
    if (!is_work) return run_trials(scene, options_of(words));
    if (words.size() != 3) fail_usage();
    Arena arena{fs::path(words[2])};
    if (words[0] == "work") work(scene, words[1], arena);
    const auto wrong = check_work(scene, words[1], arena);
    std::fputs(wrong.c_str(), stdout);
    return wrong.empty() ? 0 : 1;
}
