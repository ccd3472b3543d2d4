// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <flow29/limits.hpp>

#include "core/log.hpp"
#include "node/blocked.hpp"
#include "node/saved_limits.hpp"

#include "input.hpp"

namespace {

using namespace flow29;

void check_limits(store::Store& store, ByteView up, ByteView down, ByteView repair) {
    FLOW29_ASSERT(store.set_setting("up_limit", up) && store.set_setting("down_limit", down) &&
                  store.set_setting("repair_limit", repair));
    const auto limits = node::load_limits(store);
    FLOW29_ASSERT(up.size() == 8 || limits.up.value == 0);
    FLOW29_ASSERT(repair.size() == 8 || limits.repair == node::repair_limit_default);
    FLOW29_ASSERT(node::save_limits(store, {limits.up, limits.down, limits.repair}));
    const auto again = node::load_limits(store);
    FLOW29_ASSERT(again.up == limits.up && again.down == limits.down &&
                  again.repair == limits.repair);
}

void check_blocked(store::Store& store, ByteView nodes, ByteView roots, const std::string& name) {
    FLOW29_ASSERT(store.set_setting("blocked_nodes", nodes) &&
                  store.set_setting("blocked_roots", roots));
    auto blocked = node::Blocked::load(store);
    FLOW29_ASSERT(blocked.list().nodes.size() <= nodes.size() / NodeId::size);
    FLOW29_ASSERT(blocked.list().roots.size() <= roots.size() / RootHash::size);
    const auto target = node::Blocked::parse(name, name.size() % 2 == 0, store);
    if (target) {
        FLOW29_ASSERT(target->node || target->root);
        if (blocked.add(*target)) {
            const auto found = blocked.find(name);
            FLOW29_ASSERT(found && (!target->node || found->node == target->node) &&
                          (!target->root || found->root == target->root));
        }
    } else {
        FLOW29_ASSERT(target.error().code == Errc::usage);
        // What names nothing by itself may still be the beginning of the id of a blocked node.
        if (const auto found = blocked.find(name))
            FLOW29_ASSERT(node::Blocked::is_prefix(name) && found->node && !found->root);
    }
    FLOW29_ASSERT(blocked.save(store));
    const auto again = node::Blocked::load(store);
    FLOW29_ASSERT(again.list().nodes == blocked.list().nodes &&
                  again.list().roots == blocked.list().roots);
}

}  // namespace

/// What a node wrote down about itself, with anything in its place: limits and block lists, and
/// the names that go onto these.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    core::log::set_level(core::log::Level::error);
    static const auto store = store::make_memory_store(ByteCount(1ULL << 24));
    fuzz::Input input(data, size);
    const auto up = input.octets(12);
    const auto down = input.octets(12);
    const auto repair = input.octets(12);
    check_limits(*store, up, down, repair);
    const auto nodes = input.octets(200);
    const auto roots = input.octets(200);
    const auto rest = input.rest();
    check_blocked(*store, nodes, roots, {rest.begin(), rest.end()});
    return 0;
}
