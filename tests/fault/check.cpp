// SPDX-License-Identifier: GPL-3.0-or-later
#include "fault/check.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "fault/ack_store.hpp"

namespace flow29::fault {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

std::optional<Bytes> content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

/// What the notes in the arena add up to.
struct Acknowledged {
    std::set<ExtentHash> extents;
    std::set<RootHash> objects;
    std::set<RootHash> published;
    std::map<RootHash, std::uint64_t> leases;
    std::map<std::uint32_t, std::set<Step>> begun, done;

    explicit Acknowledged(const Arena& arena) {
        for (std::size_t i = 0; i < arena.acks(); ++i)
            take(arena.ack(i));
    }
    [[nodiscard]] bool has_begun(std::uint32_t round, Step step) const {
        const auto found = begun.find(round);
        return found != begun.end() && found->second.contains(step);
    }
    [[nodiscard]] bool has_done(std::uint32_t round, Step step) const {
        const auto found = done.find(round);
        return found != done.end() && found->second.contains(step);
    }

  private:
    void take(const Ack& ack) {
        switch (ack.kind) {
            case Ack::Kind::extent:
                extents.insert(ExtentHash{ack.hash});
                break;
            case Ack::Kind::extent_may_go:
                extents.erase(ExtentHash{ack.hash});
                break;
            case Ack::Kind::object:
                objects.insert(RootHash{ack.hash});
                break;
            case Ack::Kind::object_may_go:
                objects.erase(RootHash{ack.hash});
                published.erase(RootHash{ack.hash});
                break;
            case Ack::Kind::published:
                published.insert(RootHash{ack.hash});
                break;
            case Ack::Kind::lease:
                leases[RootHash{ack.hash}] = std::max(leases[RootHash{ack.hash}], ack.number);
                break;
            case Ack::Kind::step_begins:
                begun[ack.round].insert(static_cast<Step>(ack.number));
                break;
            case Ack::Kind::step_done:
                done[ack.round].insert(static_cast<Step>(ack.number));
                break;
        }
    }
};

class Check {
  public:
    Check(Scene& scene, Places places, Arena& arena)
        : scene_(scene),
          swarm_(scene.swarm()),
          places_(std::move(places)),
          arena_(arena),
          acknowledged_(arena) {}

    void run() {
        auto opened = store::open_disk_store({places_.data(), store_capacity});
        if (!opened) return blame("the store does not open: " + opened.error().message());
        check_acknowledged(**opened);
        check_whole(**opened);
        check_outputs();
        // So that whoever runs another round after this knows what this one did.
        auto noting = std::make_unique<AckStore>(std::move(*opened), arena_, places_.round);
        const auto node = swarm_.add({}, std::move(noting));
        node_ = node;
        if (!scene_.join(node)) return blame("the restarted node never joined");
        check_published_before();
        do_again();
        check_published_anew();
        check_withdrawn();
    }

  private:
    void blame(const std::string& what) { arena_.blame(what); }
    [[nodiscard]] store::Store& store() { return swarm_.store(*node_); }

    void check_acknowledged(store::Store& store) {
        for (const auto& extent : acknowledged_.extents)
            if (!store.has_extent(extent)) blame("lost extent " + to_hex(extent));
        for (const auto& root : acknowledged_.objects)
            if (!store.descriptor(root)) blame("lost object " + to_hex(root));
        for (const auto& root : acknowledged_.published) {
            const auto info = store.object(root);
            // Until it is withdrawn, which `set_published` is no part of.
            if (!info) blame("lost published object " + to_hex(root));
        }
        for (const auto& [root, sequence] : acknowledged_.leases) {
            std::uint64_t newest = 0;
            for (const auto& lease : store.leases(root))
                newest = std::max(newest, lease.sequence);
            if (newest < sequence) blame("lost lease of " + to_hex(root));
        }
    }

    void check_whole(store::Store& store) {
        std::set<std::string> rows;
        std::optional<ExtentHash> after;
        for (;;) {
            const auto some = store.extents_after(after, 100);
            if (!some) return blame("extents are not listed: " + some.error().message());
            if (some->empty()) break;
            after = some->back().hash;
            for (const auto& extent : *some) {
                rows.insert(to_hex(extent.hash));
                if (const auto sound = store.scrub(extent.hash); !sound)
                    blame("not whole: " + sound.error().message());
            }
        }
        for (const auto& entry : fs::recursive_directory_iterator(places_.data() / "extents")) {
            if (!entry.is_directory() && !rows.contains(entry.path().filename().string()))
                blame("no row names " + entry.path().string());
        }
        if (!fs::is_empty(places_.data() / "tmp")) blame("tmp/ is not empty");
        for (const auto& entry : fs::directory_iterator(places_.data())) {
            static const std::set<std::string> known = {"lock", "catalogue.db", "catalogue.db-wal",
                                                        "extents", "tmp"};
            if (!known.contains(entry.path().filename().string()))
                blame("left behind: " + entry.path().string());
        }
    }

    void check_file(const fs::path& path, const Bytes& expected) {
        if (content_of(path) != expected) blame("wrong content: " + path.string());
    }
    void check_tree(const fs::path& path) {
        std::set<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(path))
            if (!entry.is_directory()) found.insert(fs::relative(entry.path(), path).string());
        for (const auto& [name, content] : scene_.tree()) {
            check_file(path / name, content);
            found.erase(name);
        }
        for (const auto& name : found)
            blame("in a fetched directory, and not its: " + name);
    }
    /// What has its final name is whole, and was acknowledged or not.
    void check_outputs() {
        for (std::uint32_t round = 0; round <= places_.round; ++round) {
            const auto out = places_.out(round);
            if (fs::exists(out / "file")) check_file(out / "file", scene_.file());
            if (fs::exists(out / "tree")) check_tree(out / "tree");
            if (acknowledged_.has_done(round, Step::fetch_file) && !fs::exists(out / "file"))
                blame("lost a fetched file");
            if (acknowledged_.has_done(round, Step::fetch_tree) && !fs::exists(out / "tree"))
                blame("lost a fetched directory");
        }
    }

    /// Whether it was deleting this that failed.
    [[nodiscard]] bool was_refused(const fs::path& path) const {
        const auto relative = path.string().substr(places_.directory.string().size());
        return std::string_view(arena_.control().where.data()) == "unlink " + relative;
    }
    /// The store as it is for whoever asks another node.
    void check_readable(const Bytes& content, const RootHash& root) {
        const auto read = swarm_.fetch(Scene::reader, root);
        if (!read)
            blame("published and not readable: " + read.error().message());
        else if (*read != content)
            blame("published and read wrong");
    }
    [[nodiscard]] static RootHash root_of(const Bytes& content) {
        const auto tree = core::tree_hash(content);
        return core::root_hash(ObjectKind::file, ByteCount(content.size()), tree);
    }
    void check_published_before() {
        if (auto freed = store().collect(swarm_.world().wall_now()); !freed)
            blame("collection fails: " + freed.error().message());
        for (std::uint32_t round = 0; round <= places_.round; ++round) {
            const bool large = acknowledged_.has_done(round, Step::publish_large) &&
                               !acknowledged_.has_begun(round, Step::withdraw);
            if (large) check_readable(large_content(round), root_of(large_content(round)));
            if (acknowledged_.has_done(round, Step::publish_small))
                check_readable(small_content(round), root_of(small_content(round)));
        }
    }

    void do_again() {
        fetch(scene_.file_root(), places_.file());
        fetch(scene_.tree_root(), places_.tree());
        check_outputs();
        const auto out = places_.out();
        for (const auto& entry : fs::directory_iterator(out)) {
            const auto name = entry.path().filename().string();
            if (name == "file" || name == "tree" || was_refused(entry.path())) continue;
            blame("left behind: " + name);
        }
        const auto withdrawn = acknowledged_.has_begun(places_.round, Step::withdraw);
        if (!withdrawn) publish(large_content(places_.round));
        publish(small_content(places_.round));
    }
    void fetch(const RootHash& root, const fs::path& to) {
        if (fs::exists(to)) return;
        fs::create_directories(to.parent_path());
        FetchRequest request;
        request.link.root = root;
        request.path = to;
        auto& fetcher = swarm_.engine(*node_).fetcher();
        const auto done = scene_.run(*node_, fetcher.fetch(std::move(request), {}), arena_);
        if (!done) blame("cannot be fetched again: " + done.error().message());
    }
    void publish(const Bytes& content) {
        PublishRequest request;
        request.copies = 3;
        request.extent_level = Scene::level;
        const auto done = swarm_.publish(*node_, content, std::move(request));
        if (!done)
            blame("cannot be published again: " + done.error().message());
        else if (done->copies.min < 3)
            blame("published again with too few copies");
    }
    void check_published_anew() {
        const auto round = places_.round;
        if (!acknowledged_.has_begun(round, Step::withdraw))
            check_readable(large_content(round), root_of(large_content(round)));
        check_readable(small_content(round), root_of(small_content(round)));
    }

    void check_withdrawn() {
        const auto root = root_of(large_content(places_.round));
        arena_.add({Ack::Kind::step_begins,
                    places_.round,
                    static_cast<std::uint64_t>(Step::withdraw),
                    {}});
        auto& engine = swarm_.engine(*node_);
        // Not there if the withdrawal was done before.
        (void)scene_.run(*node_, engine.withdraw(root, {}), arena_);
        if (auto freed = store().collect(swarm_.world().wall_now()); !freed)
            blame("collection fails: " + freed.error().message());
        check_whole(store());
        if (const auto left = store().object(root)) {
            if (left->extents_held != 0) blame("withdrawn and kept");
            if (left->published) blame("withdrawn and published");
        }
    }

    Scene& scene_;       // owned by the program
    sim::Swarm& swarm_;  // of the scene
    Places places_;
    Arena& arena_;  // owned by the program
    Acknowledged acknowledged_;
    std::optional<std::size_t> node_;
};

}  // namespace

void check(Scene& scene, const Places& places, Arena& arena) {
    Check(scene, places, arena).run();
}

}  // namespace flow29::fault
