// SPDX-License-Identifier: GPL-3.0-or-later
#include "fault/scene.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/assert.hpp"

namespace flow29::fault {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Scene::Scene() : file_(sim::random_content(1, 270'000)) {
    swarm_.emplace(sim::Swarm::Options{
        .seed = 29, .grace = 1min, .audit_period = std::chrono::hours(24 * 365)});
    tree_["a file"] = sim::random_content(2, 150'000);
    tree_["in/another"] = sim::random_content(3, 3'000);
    tree_["in/empty"] = {};
    swarm_->grow_to(others, 500ms);
    swarm_->world().run_for(30s);
    const auto published = swarm_->publish(source, file_, 4, level);
    FLOW29_ASSERT(published.has_value());
    file_root_ = published->root;

    std::string name = (fs::temp_directory_path() / "flow29-scene-XXXXXX").string();
    FLOW29_ASSERT(::mkdtemp(name.data()) != nullptr);
    for (const auto& [path, content] : tree_) {
        fs::create_directories((fs::path(name) / path).parent_path());
        std::ofstream(fs::path(name) / path, std::ios::binary)
            .write(reinterpret_cast<const char*>(content.data()),
                   static_cast<std::streamsize>(content.size()));
    }
    Arena arena;
    PublishRequest request;
    request.path = name;
    request.extent_level = level;
    auto& placements = swarm_->engine(source).placements();
    const auto tree = run(source, placements.publish(std::move(request), {}), arena);
    fs::remove_all(name);
    FLOW29_ASSERT(tree.has_value());
    FLOW29_ASSERT(tree->copies.min == 4);
    tree_root_ = tree->root;
}

void Scene::catch_up(const Arena& arena) {
    swarm_->world().run_until(std::max(swarm_->world().now(), arena.clock()) + 1min);
}

bool Scene::join(std::size_t node) {
    const auto met = [&] { return swarm_->engine(node).table().alive() + 1 >= others; };
    return swarm_->world().run_for(5min, met);
}

}  // namespace flow29::fault
