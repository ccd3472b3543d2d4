// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/verifier.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include <fmt/core.h>

#include "core/log.hpp"
#include "core/token_bucket.hpp"
#include "node/terms.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr std::size_t page_extents = 1024;
constexpr std::size_t healing_max = 32;  // at a time
constexpr unsigned heal_attempts = 2;    // the first one may meet holders that have gone
constexpr std::size_t complaints_max = 20;
constexpr Duration look_period = 100ms;
constexpr Duration report_period = 250ms;

/// A damaged row may claim any length.
ByteCount believable(ByteCount length) {
    return std::min(length, ByteCount(limits::extent_bytes_max));
}
}  // namespace

/// One verification under way.
struct Verifier::Pass {
    VerifyRequest request;
    ProgressFn progress;
    Verification found;
    ByteCount total;
    core::TokenBucket pace{ByteCount(limits::verify_rate), ByteCount(limits::verify_rate)};
    std::set<ExtentHash> damaged, missing;
    std::map<ExtentHash, std::filesystem::path> elsewhere;  // of the damaged, in which file
    std::set<ExtentHash> wanted;                            // of these all, by an object
    std::size_t healing = 0;
    std::optional<Stage> stage;  // reported last
    TimePoint next_report{};

    void complain(std::string text) {
        log::warn("verifier", "{}", text);
        if (found.complaints.size() < complaints_max) found.complaints.push_back(std::move(text));
    }
};

Result<void> Verifier::going_on(const Pass& pass) const {
    if (pass.request.stop.stop_requested() || tasks_.stopping())
        return fail(Errc::interrupted, "interrupted");
    return {};
}

void Verifier::report(Pass& pass, Stage stage) {
    const auto now = services_.runtime.now();
    if (!pass.progress || (pass.stage == stage && now < pass.next_report)) return;
    pass.stage = stage;
    pass.next_report = now + report_period;
    Progress progress;
    progress.stage = stage;
    if (stage == Stage::verifying) {
        progress.done = pass.found.checked;
        progress.total = pass.total;
    }
    pass.progress(progress);
}

Result<std::vector<RootHash>> Verifier::roots(store::Store& store, std::optional<RootHash> only) {
    auto all = store.roots();
    if (!all || !only) return all;
    if (std::ranges::find(*all, *only) == all->end())
        return fail(Errc::not_found, "nothing of it is kept here; `flow29 ls` lists what is");
    return std::vector<RootHash>{*only};
}

Result<std::vector<store::HeldExtent>> Verifier::page_after(store::Store& store,
                                                            std::optional<RootHash> only,
                                                            std::optional<ExtentHash> after) {
    if (!only) return store.extents_after(after, page_extents);
    std::vector<store::HeldExtent> page;
    const auto descriptor = store.descriptor(*only);
    if (!descriptor) return page;  // which has been said
    const std::set<ExtentHash> extents(descriptor->extents.begin(), descriptor->extents.end());
    auto next = after ? extents.upper_bound(*after) : extents.begin();
    for (; next != extents.end() && page.size() < page_extents; ++next)
        if (const auto length = store.extent_length(*next)) page.push_back({*next, *length});
    return page;
}

Result<ByteCount> Verifier::sum(store::Store& store, std::optional<RootHash> only) {
    ByteCount sum;
    std::optional<ExtentHash> after;
    for (;;) {
        const auto page = page_after(store, only, after);
        if (!page) return fail(page.error());
        if (page->empty()) return sum;
        for (const auto& extent : *page)
            sum += believable(extent.length);
        after = page->back().hash;
    }
}

bool Verifier::is_here(const proto::ItemId& item) const {
    auto& store = services_.store;
    return item.kind == proto::ItemId::Kind::descriptor ? store.descriptor(item.root()).has_value()
                                                        : store.has_extent(item.extent());
}

std::vector<proto::NodeRecord> Verifier::known_holders(const proto::ItemId& item) const {
    auto& store = services_.store;
    std::vector<proto::NodeRecord> records;
    for (const auto& [held, node] : store.holders({item}))
        if (node != services_.identity.id())
            if (auto record = store.node_record(node)) records.push_back(std::move(*record));
    return records;
}

Verifier::Lacking Verifier::lacking_descriptor(const RootHash& root, WallTime wall_now) const {
    const auto item = proto::ItemId::of(root);
    auto lease = widest_live(services_.store.leases(root), wall_now);
    return {item, ByteCount(0), std::move(lease), known_holders(item)};
}

std::vector<Verifier::Lacking> Verifier::lacking_of(const RootHash& root,
                                                    const std::set<ExtentHash>& dropped,
                                                    WallTime wall_now) const {
    auto& store = services_.store;
    std::vector<Lacking> lacking;
    const auto object = store.object(root);
    if (!object) return lacking;
    const auto lease = widest_live(store.leases(root), wall_now);
    const auto kept = marked(root);
    const std::unordered_set<proto::ItemId> invited(kept.begin(), kept.end());
    const auto& descriptor = object->descriptor;
    std::unordered_set<ExtentHash> seen;
    for (std::uint64_t i = 0; i < descriptor.extents.size(); ++i) {
        const auto& extent = descriptor.extents[i];
        const auto item = proto::ItemId::of(extent);
        const bool wanted = object->published || object->pinned ||
                            (lease && (invited.contains(item) || dropped.contains(extent)));
        if (!wanted || !seen.insert(extent).second || store.has_extent(extent)) continue;
        lacking.push_back(
            {item, descriptor.layout().extent_length(ExtentIndex(i)), lease, known_holders(item)});
    }
    return lacking;
}

std::vector<proto::ItemId> Verifier::marked(const RootHash& root) const {
    auto& store = services_.store;
    std::vector<proto::ItemId> items{proto::ItemId::of(root)};
    if (const auto descriptor = store.descriptor(root))
        for (const auto& extent : descriptor->extents)
            items.push_back(proto::ItemId::of(extent));
    std::vector<proto::ItemId> own;
    for (const auto& [item, node] : store.holders(items))
        if (node == services_.identity.id()) own.push_back(item);
    return own;
}

asio::awaitable<Result<Verification>> Verifier::verify(VerifyRequest request, ProgressFn progress) {
    auto pass = std::make_shared<Pass>();
    pass->request = std::move(request);
    pass->progress = std::move(progress);
    report(*pass, Stage::verifying);
    auto& store = services_.store;
    const auto only = pass->request.root;
    auto list = [&store, only] { return roots(store, only); };
    const auto found = co_await net::offload(services_.runtime, std::move(list));
    if (!found) co_return fail(found.error());
    auto add_up = [&store, only] { return sum(store, only); };
    const auto total = co_await net::offload(services_.runtime, std::move(add_up));
    if (!total) co_return fail(total.error());
    pass->total = *total;

    auto done = co_await read_objects(pass, *found);
    if (done) done = co_await read_extents(pass);
    if (done) done = co_await heal_extents(pass, *found);
    if (!done) co_return fail(done.error());
    co_await count_healed(pass);
    if (!only) co_await check_catalogue(pass);
    const auto& result = pass->found;
    log::info("verifier", "{} extents read: {} damaged, {} missing, {} healed",
              result.checked_extents, result.damaged_extents, result.missing_extents,
              result.healed_extents);
    co_return result;
}

asio::awaitable<Result<void>> Verifier::read_objects(PassPtr pass, std::vector<RootHash> roots) {
    auto& store = services_.store;
    for (const auto& root : roots) {
        if (const auto on = going_on(*pass); !on) co_return on;
        auto read = [&store, root] { return store.descriptor(root); };
        const auto descriptor = co_await net::offload(services_.runtime, std::move(read));
        if (!descriptor && descriptor.error().code == Errc::not_found) continue;  // removed now
        ++pass->found.checked_objects;
        if (descriptor) continue;
        ++pass->found.damaged_objects;
        log::warn("verifier", "{}", descriptor.error().message());
        co_await mend_object(pass, root);
    }
    co_return Result<void>();
}

asio::awaitable<void> Verifier::mend_object(PassPtr pass, RootHash root) {
    auto& store = services_.store;
    const auto item = proto::ItemId::of(root);
    const auto wall_now = services_.runtime.wall_now();
    std::optional<core::Descriptor> known;
    if (const auto* cared_for = caretaker_.descriptor_with(item)) known = *cared_for;
    auto put = [this, &store, root, known, wall_now] {
        if (known)
            if (const auto mended = store.put_object(root, *known, ""); !mended)
                log::warn("verifier", "not mended: {}", mended.error().message());
        return lacking_descriptor(root, wall_now);
    };
    auto lacking = co_await net::offload(services_.runtime, std::move(put));
    if (!known && lacking.lease) co_await heal(pass, std::move(lacking));
    struct Outcome {
        bool sound = false;
        std::vector<proto::ItemId> held;
    };
    auto look = [this, item, root] {
        Outcome outcome{is_here(item), marked(root)};
        std::erase_if(outcome.held, [this](const auto& own) { return !is_here(own); });
        return outcome;
    };
    const auto outcome = co_await net::offload(services_.runtime, std::move(look));
    if (!outcome.sound) {
        pass->complain("the descriptor of " + to_hex(root) +
                       " is damaged, and nobody who was reached has it");
        co_return;
    }
    ++pass->found.healed_objects;
    // Without its descriptor the object was passed over when this node started.
    if (!known && !outcome.held.empty()) events_.on_kept({root, outcome.held, true});
}

asio::awaitable<Result<void>> Verifier::read_extents(PassPtr pass) {
    auto& store = services_.store;
    const auto only = pass->request.root;
    std::optional<ExtentHash> after;
    for (;;) {
        auto next = [&store, only, after] { return page_after(store, only, after); };
        const auto page = co_await net::offload(services_.runtime, std::move(next));
        if (!page) co_return fail(page.error());
        if (page->empty()) co_return Result<void>();
        for (const auto& extent : *page) {
            const auto read = co_await read_extent(pass, extent);
            if (!read) co_return read;
        }
        after = page->back().hash;
    }
}

asio::awaitable<Result<void>> Verifier::read_extent(PassPtr pass, store::HeldExtent extent) {
    report(*pass, Stage::verifying);
    const auto length = believable(extent.length);
    const auto now = services_.runtime.now();
    const auto begin = pass->pace.take(length, now);
    if (begin > now) (void)co_await tasks_.sleep_for(begin - now);
    if (const auto on = going_on(*pass); !on) co_return on;
    auto& store = services_.store;
    const auto hash = extent.hash;
    auto scrub = [&store, hash] {
        auto file = store.file_of(hash);
        return std::pair(store.scrub(hash), std::move(file));
    };
    const auto [sound, file] = co_await net::offload(services_.runtime, std::move(scrub));
    if (!sound && sound.error().code == Errc::not_found) co_return Result<void>();  // removed now
    auto& found = pass->found;
    found.checked += length;
    ++found.checked_extents;
    if (sound) co_return sound;
    ++found.damaged_extents;
    if (sound.error().code == Errc::corrupt_store) {
        pass->damaged.insert(hash);
        if (file) pass->elsewhere.emplace(hash, *file);
        events_.on_damaged(hash);
    } else {
        pass->complain(
            fmt::format("extent {} cannot be read: {}", to_hex(hash), sound.error().message()));
    }
    co_return Result<void>();
}

asio::awaitable<Result<void>> Verifier::heal_extents(PassPtr pass, std::vector<RootHash> roots) {
    auto dropped = pass->damaged;
    for (const auto& [extent, file] : pass->elsewhere)
        dropped.erase(extent);
    for (const auto& root : roots) {
        const auto wall_now = services_.runtime.wall_now();
        auto look = [this, root, &dropped, wall_now] {
            return lacking_of(root, dropped, wall_now);
        };
        auto lacking = co_await net::offload(services_.runtime, std::move(look));
        for (auto& one : lacking) {
            const auto extent = one.item.extent();
            pass->wanted.insert(extent);
            if (!pass->damaged.contains(extent) && pass->missing.insert(extent).second)
                ++pass->found.missing_extents;
            if (!one.lease) continue;
            while (pass->healing >= healing_max && going_on(*pass))
                (void)co_await tasks_.sleep_for(look_period);
            if (const auto on = going_on(*pass); !on) co_return on;
            ++pass->healing;
            tasks_.start(heal_beside(pass, std::move(one)));
            report(*pass, Stage::healing);
        }
    }
    while (pass->healing > 0) {
        report(*pass, Stage::healing);
        (void)co_await tasks_.sleep_for(look_period);
        if (const auto on = going_on(*pass); !on) co_return on;
    }
    co_return Result<void>();
}

asio::awaitable<void> Verifier::heal_beside(PassPtr pass, Lacking lacking) {
    co_await heal(pass, std::move(lacking));
    --pass->healing;
}

asio::awaitable<void> Verifier::heal(PassPtr pass, Lacking lacking) {
    const auto item = lacking.item;
    for (unsigned attempt = 0; attempt < heal_attempts; ++attempt) {
        if (!keeper_.is_coming(item)) {
            co_await neighbourhood_.ensure_near(item.key(services_.keys));
            auto sources = table_.nearest(item.key(services_.keys), limits::candidates_max);
            sources.insert(sources.end(), lacking.sources.begin(), lacking.sources.end());
            if (sources.empty()) co_return;
            const std::vector<proto::Invite::Item> items{{item, lacking.length}};
            if (going_on(*pass)) keeper_.heal(*lacking.lease, items, std::move(sources));
        }
        while (keeper_.is_coming(item) && going_on(*pass))
            (void)co_await tasks_.sleep_for(look_period);
        auto look = [this, item] { return is_here(item); };
        const bool here = co_await net::offload(services_.runtime, std::move(look));
        if (here || !going_on(*pass)) co_return;
    }
}

asio::awaitable<void> Verifier::check_catalogue(PassPtr pass) {
    auto& store = services_.store;
    auto check = [&store] { return store.check_catalogue(); };
    const auto sound = co_await net::offload(services_.runtime, std::move(check));
    if (sound) co_return;
    pass->found.catalogue_is_damaged = true;
    pass->complain(sound.error().message() + "; start the node again to have it made anew");
}

/// What was fetched is its user's to change or delete; then it is not served from there any more.
void Verifier::forgive_changed_files(Pass& pass) {
    std::set<std::filesystem::path> files;
    for (const auto& [extent, file] : pass.elsewhere) {
        if (pass.wanted.contains(extent)) continue;
        pass.damaged.erase(extent);
        --pass.found.damaged_extents;
        files.insert(file);
    }
    for (const auto& file : files)
        pass.complain(file.string() +
                      " was changed, moved or deleted; others are served only what is still "
                      "there as it was");
}

asio::awaitable<void> Verifier::count_healed(PassPtr pass) {
    forgive_changed_files(*pass);
    auto all = pass->damaged;
    all.insert(pass->missing.begin(), pass->missing.end());
    for (const auto& extent : all) {
        auto look = [this, extent] { return is_here(proto::ItemId::of(extent)); };
        const bool here = co_await net::offload(services_.runtime, std::move(look));
        if (here)
            ++pass->found.healed_extents;
        else
            pass->complain(fmt::format(
                "extent {} {}", to_hex(extent),
                pass->damaged.contains(extent)
                    ? "is damaged and was dropped; it did not come from others"
                    : "is missing, though it is to be kept here; it did not come from others"));
    }
}

}  // namespace flow29::node
