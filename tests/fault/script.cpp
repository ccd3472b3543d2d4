// SPDX-License-Identifier: GPL-3.0-or-later
#include "fault/script.hpp"

#include <algorithm>
#include <cstring>

#include "fault/ack_store.hpp"
#include "store/file.hpp"

namespace flow29::fault {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

class Script {
  public:
    Script(Scene& scene, Places places, Arena& arena)
        : scene_(scene), swarm_(scene.swarm()), places_(std::move(places)), arena_(arena) {}

    void run(Part part) {
        if (!step(Step::open, [this] { return open(); })) return;
        step(Step::join, [this] { return join(); });
        if (part == Part::restart) return;
        step(Step::publish_large, [this] { return publish_large(); });
        step(Step::publish_small, [this] { return publish(small_content(places_.round)); });
        step(Step::fetch_file, [this] { return fetch(scene_.file_root(), places_.file()); });
        step(Step::fetch_tree, [this] { return fetch(scene_.tree_root(), places_.tree()); });
        step(Step::repair, [this] { return repair(); });
        step(Step::pin, [this] { return pin(true); });
        step(Step::withdraw, [this] { return withdraw(); });
        step(Step::collect, [this] { return collect(); });
    }

  private:
    template <class Do>
    bool step(Step which, const Do& act) {
        note(Ack::Kind::step_begins, which);
        Result<void> done = act();
        // Whoever wants it still tries again, and what failed once is no reason any more.
        const bool once = arena_.control().hits != 0 && arena_.control().sticky == 0;
        if (!done) blame_wrong_reason(which, done.error());
        if (!done && once) {
            done = act();
            if (!done) blame(which, "fails again: " + done.error().message());
        }
        if (done) note(Ack::Kind::step_done, which);
        return done.has_value();
    }

    void note(Ack::Kind kind, Step step) {
        arena_.add({kind, places_.round, static_cast<std::uint64_t>(step), {}});
    }
    void blame(Step step, const std::string& what) {
        arena_.blame(std::string(step_names[static_cast<std::size_t>(step)]) + ": " + what);
    }
    /// SQLite does not say why a sync failed, nor why a journal could not be made.
    [[nodiscard]] bool is_untold() const {
        const std::string_view where(arena_.control().where.data());
        return where.starts_with("fdatasync /data/catalogue.db") ||
               where.starts_with("open /data/catalogue.db-");
    }
    void blame_wrong_reason(Step step, const Error& error) {
        if (arena_.control().hits == 0)
            return blame(step, "fails without a fault: " + error.message());
        const auto kind = static_cast<Kind>(arena_.control().kind);
        const auto reason = kind == Kind::no_space ? Errc::no_space : Errc::file_error;
        if (error.code == reason || (error.code == Errc::file_error && is_untold())) return;
        blame(step, "fails for the wrong reason: " + error.message());
    }

    Result<void> open() {
        auto store = store::open_disk_store({places_.data(), store_capacity});
        if (!store) return fail(store.error());
        node_ =
            swarm_.add({}, std::make_unique<AckStore>(std::move(*store), arena_, places_.round));
        return {};
    }
    Result<void> join() {
        if (!scene_.join(*node_)) arena_.blame("the node never joined");
        return {};
    }
    Result<void> publish(const Bytes& content) {
        PublishRequest request;
        request.copies = 3;
        request.extent_level = Scene::level;
        const auto done = swarm_.publish(*node_, content, std::move(request));
        if (!done) return fail(done.error());
        last_root_ = done->root;
        return {};
    }
    Result<void> publish_large() {
        auto done = publish(large_content(places_.round));
        if (done) large_root_ = last_root_;
        return done;
    }
    Result<void> fetch(const RootHash& root, const fs::path& to) {
        std::error_code ec;
        // An attempt that failed after it moved it into place.
        if (fs::exists(to, ec)) return {};
        fs::create_directories(to.parent_path(), ec);
        if (ec) return fail_errno(ec.value(), to.string());
        // Whoever fetches into a directory has it already.
        if (auto kept = store::sync_directory(places_.directory); !kept) return kept;
        FetchRequest request;
        request.link.root = root;
        request.path = to;
        const auto done = scene_.run(
            *node_, swarm_.engine(*node_).fetcher().fetch(std::move(request), {}), arena_);
        if (!done) return fail(done.error());
        return {};
    }
    Result<void> repair() {
        if (swarm_.up(Scene::lost_holder)) swarm_.crash(Scene::lost_holder);
        // Not an operation that says how it ended: it goes on until it is done, or its disk is
        // full.
        const auto made = [this] { return keeps(scene_.file_root()) && keeps(scene_.tree_root()); };
        const bool done = swarm_.world().run_for(20min, made);
        const bool can = arena_.control().hits == 0 || arena_.control().sticky == 0;
        if (!done && can) arena_.blame("the missing copies were not made");
        return {};
    }
    [[nodiscard]] bool keeps(const RootHash& root) {
        auto& store = swarm_.store(*node_);
        const auto descriptor = store.descriptor(root);
        return descriptor && std::ranges::all_of(descriptor->extents, [&](const auto& extent) {
                   return store.owns_extent(extent);
               });
    }
    Result<void> pin(bool pinned) {
        const auto root = scene_.file_root();
        // Not if it could not be fetched.
        if (!swarm_.store(*node_).descriptor(root)) return {};
        const auto done =
            scene_.run(*node_, swarm_.engine(*node_).pins().set(root, pinned), arena_);
        if (!done && done.error().code == Errc::not_found && arena_.control().sticky != 0)
            return {};
        if (!done) return fail(done.error());
        return {};
    }
    Result<void> withdraw() {
        if (!large_root_) return {};
        const auto done =
            scene_.run(*node_, swarm_.engine(*node_).withdraw(*large_root_, {}), arena_);
        if (!done) return fail(done.error());
        return {};
    }
    Result<void> collect() {
        auto done = swarm_.store(*node_).collect(swarm_.world().wall_now());
        if (!done) return fail(done.error());
        return {};
    }

    Scene& scene_;       // owned by the program
    sim::Swarm& swarm_;  // of the scene
    Places places_;
    Arena& arena_;  // owned by the program
    std::optional<std::size_t> node_;
    RootHash last_root_;
    std::optional<RootHash> large_root_;
};

}  // namespace

Bytes large_content(std::uint32_t round) {
    return sim::random_content(1000 + 2 * round, 300'000);
}

Bytes small_content(std::uint32_t round) {
    return sim::random_content(1001 + 2 * round, 3'000);
}

void run_script(Scene& scene, const Places& places, Part part, Arena& arena) {
    Control& control = arena.control();
    std::strncpy(control.under.data(), places.directory.c_str(), control.under.size() - 1);
    flow29_fault_use(&control);
    control.armed = 1;
    sim::World& world = scene.swarm().world();
    world.watch([&] { arena.set_clock(world.now()); });
    Script(scene, places, arena).run(part);
    world.watch({});
    scene.close();
    control.armed = 0;
}

}  // namespace flow29::fault
