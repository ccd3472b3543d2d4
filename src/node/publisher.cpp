// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/publisher.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include <asio/post.hpp>

#include "core/log.hpp"
#include "core/unique_fd.hpp"
#include "node/directory_source.hpp"
#include "node/folder.hpp"
#include "node/private_source.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration announce_timeout = 10s;
constexpr unsigned placings_max = 4;  // of what was complete and is so no longer
constexpr std::string_view private_purpose = "29 flow private objects 1";
}  // namespace

Publisher::Publisher(Services services, const Settings& settings, Tasks& tasks, PeerBook& peers,
                     proto::NodeTable& table, Announcer& announcer, std::shared_ptr<Placer> placer,
                     std::shared_ptr<PartPusher> parts, std::shared_ptr<Transfer> transfer)
    : services_(services),
      settings_(settings),
      tasks_(tasks),
      peers_(peers),
      table_(table),
      announcer_(announcer),
      placer_(std::move(placer)),
      parts_(std::move(parts)),
      transfer_(std::move(transfer)) {}

void Publisher::report(Stage stage, ByteCount done, ByteCount total) {
    if (!progress_) return;
    Progress progress;
    progress.stage = stage;
    progress.done = done;
    progress.total = total;
    progress.copies_target = lease_.copies;
    progress.copies_min = static_cast<unsigned>(placer_->planner().counts().min_copies);
    progress.holders = table_.alive();
    progress_(progress);
}

void Publisher::report_copies() {
    const auto counts = placer_->planner().counts();
    report(Stage::copies, counts.bytes_made, counts.bytes_wanted);
}

asio::awaitable<Result<std::unique_ptr<Source>>> Publisher::encrypt(std::unique_ptr<Source> plain,
                                                                    std::stop_token stop) {
    const auto kind = plain->kind();
    const auto length = plain->length();
    // The key depends on all of it, so it is read twice: this is the first half.
    const std::function<void(ByteCount)> tell = [this, length](ByteCount done) {
        asio::post(services_.runtime.executor(),
                   [this, done, length, guard = std::weak_ptr(alive_)] {
                       if (!guard.expired())
                           report(Stage::hashing, ByteCount(done.value / 2), length);
                   });
    };
    auto hash = [&source = *plain, tell, stop] { return hash_source(source, tell, stop); };
    const auto hashed = co_await net::offload(services_.runtime, std::move(hash));
    if (!hashed) co_return fail(hashed.error());
    key_ = core::FileKey::derive(services_.identity.derive_secret(private_purpose), kind,
                                 hashed->root);
    co_return std::make_unique<PrivateSource>(std::move(plain), *key_, hashed->root);
}

asio::awaitable<Result<core::Descriptor>> Publisher::ingest(const PublishRequest& request, int fd) {
    if (request.by_reference && request.encrypt)
        co_return fail(Errc::usage,
                       "what is private cannot be kept by reference: what others are given does "
                       "not lie in the file");
    auto look = [fd, folder = request.folder,
                 has_times = request.times]() -> Result<std::unique_ptr<Source>> {
        if (!folder) return open_source(fd, has_times);
        auto directory = DirectorySource::scan(folder, has_times);
        if (!directory) return fail(directory.error());
        return std::unique_ptr<Source>(std::move(*directory));
    };
    auto source = co_await net::offload(services_.runtime, std::move(look));
    if (!source) co_return fail(source.error());
    if (request.encrypt) {
        source = co_await encrypt(std::move(*source), request.stop);
        if (!source) co_return fail(source.error());
    }
    const bool is_file = (*source)->kind() == ObjectKind::file;
    if (request.by_reference && !is_file)
        co_return fail(Errc::usage,
                       "a directory cannot be kept by reference, only a file: its extents do not "
                       "lie in one place");
    const bool may_lie = is_file && (request.by_reference || !settings_.storing);
    auto reachable = [fd, path = request.path, may_lie] {
        return may_lie && !path.empty() && is_readable_at(path, fd);
    };
    const bool lies_there = co_await net::offload(services_.runtime, std::move(reachable));
    if (request.by_reference && !lies_there)
        co_return fail(Errc::refused,
                       request.path.string() +
                           " cannot be kept by reference: the node, which would read it whenever "
                           "somebody asks, may not; without --by-reference it keeps a copy");
    Ingest::Options options;
    options.source = source->get();
    options.level = request.extent_level;
    options.stop = request.stop;
    options.is_paused = Transfer::is_paused(transfer_);
    // A node that stores nothing for others does not need a second copy of what lies in a file.
    if (lies_there) options.reference = request.path;
    options.progress = [this](ByteCount done, ByteCount total) {
        const ByteCount half(total.value - total.value / 2 + done.value / 2);
        report(Stage::hashing, key_ ? half : done, total);
    };
    parts_->set_terms(request.copies, Duration(request.idle_timeout));
    if (request.wait != PublishWait::none)
        options.on_hashed = [this](const core::Layout& layout, std::span<const ExtentHash> hashes) {
            parts_->on_hashed(layout, hashes);
        };
    Ingest ingest(services_, tasks_, std::move(options));
    auto descriptor = co_await ingest.run();
    parts_->stop();
    co_return descriptor;
}

asio::awaitable<Result<void>> Publisher::keep(const PublishRequest& request) {
    const auto wall_now = services_.runtime.wall_now();
    lease_.root = root_;
    lease_.copies = static_cast<std::uint8_t>(request.copies);
    lease_.expires = wall_now + request.lease;
    lease_.sequence = to_unix_ms(wall_now);
    lease_.sign(services_.identity);
    auto& store = services_.store;
    const auto renewal = request.renew ? request.lease : std::chrono::milliseconds(0);
    // That of a private object, too: it stays in this node's own catalogue, and no message has a
    // field for it.
    const auto name = request.name;
    auto job = [&store, this, renewal, name]() -> Result<void> {
        const auto before = store.object(root_);
        was_published_ = before && before->published;
        const auto known = store.leases(root_);
        replaces_lease_ = std::ranges::count(known, lease_.publisher, &proto::Lease::publisher) > 0;
        if (auto kept = store.put_object(root_, descriptor_, name); !kept) return kept;
        if (auto kept = store.put_lease(lease_); !kept) return fail(kept.error());
        if (auto kept = store.set_renewal(root_, renewal); !kept) return kept;
        return store.set_published(root_, true);
    };
    co_return co_await net::offload(services_.runtime, std::move(job));
}

asio::awaitable<void> Publisher::place(const PublishRequest& request) {
    placer_->add(proto::ItemId::of(root_), root_, ByteCount(descriptor_.encode().size()),
                 request.copies);
    const auto layout = descriptor_.layout();
    for (std::uint64_t i = 0; i < descriptor_.extents.size(); ++i)
        placer_->add(proto::ItemId::of(descriptor_.extents[i]), root_,
                     layout.extent_length(ExtentIndex(i)), request.copies);
    Inviter::LeaseOf lease_of = [this](const RootHash&) { return std::optional(lease_); };
    Placer::ReportFn report_step = [this](const auto&) { report_copies(); };
    const auto stop = request.stop;
    auto is_paused = Transfer::is_paused(transfer_);
    co_await placer_->run(std::move(lease_of), request.idle_timeout, stop, std::move(report_step),
                          std::move(is_paused));
}

/// A holder may go while this is announced, and one that has just joined may learn that nobody can
/// dial it: then another is found, as one that refuses would be replaced.
asio::awaitable<Result<void>> Publisher::place_and_announce(const PublishRequest& request) {
    const auto is_short = [this] { return placer_->planner().counts().under_target > 0; };
    for (unsigned placings = 0; placings < placings_max; ++placings) {
        co_await place(request);
        const bool gave_up = is_short();
        // What is told while copies are made is told now and then; this is how it ended.
        report_copies();
        // A node that stores nothing, and met nobody, has published nothing.
        if (!settings_.storing && table_.alive() == 0 && !tasks_.stopping())
            co_return fail(Errc::no_network, "no node of the swarm answered");
        tell_holders();
        const auto stopped = [&] { return tasks_.stopping() || request.stop.stop_requested(); };
        if (settings_.storing && !stopped())
            co_await announcer_.wait_announced(services_.runtime.now() +
                                               Duration(announce_timeout));
        if (gave_up || stopped() || !is_short()) break;
        log::info("publisher", "a holder is none any more; its copies are made elsewhere");
    }
    co_return Result<void>();
}

Copies Publisher::copies() const {
    Copies copies;
    copies.min = ~0U;
    std::uint64_t sum = 0;
    for (const auto& item : placer_->items()) {
        const auto count = placer_->planner().copies(item);
        copies.min = std::min(copies.min, count);
        sum += count;
        ++copies.histogram[count];
    }
    copies.mean = static_cast<double>(sum) / static_cast<double>(placer_->items().size());
    return copies;
}

std::string Publisher::shortfall(unsigned copies) const {
    const auto alive = table_.alive();
    std::string text = "the other nodes are full or do not answer";
    if (alive == 0)
        text = "no other node that stores can be reached";
    else if (alive < copies)
        text = fmt::format("only {} other node{} that store{} can be reached", alive,
                           alive == 1 ? "" : "s", alive == 1 ? "s" : "");
    const auto refusing = placer_->over_quota();
    if (refusing > 0)
        text += fmt::format("; {} node{}: over the quota of this publisher", refusing,
                            refusing == 1 ? "" : "s");
    return text;
}

void Publisher::tell_holders() {
    std::map<NodeId, std::uint32_t> positions;
    std::vector<proto::NodeRecord> records;
    std::vector<proto::HolderTable::Entry> entries;
    const auto& planner = placer_->planner();
    for (const auto& item : placer_->items()) {
        proto::HolderTable::Entry entry{item, {}};
        for (const auto& node : planner.holders(item)) {
            const auto* known = table_.find(node);
            if (known == nullptr || records.size() >= limits::records_per_message_max) continue;
            const auto [position, fresh] =
                positions.emplace(node, static_cast<std::uint32_t>(records.size()));
            if (fresh) records.push_back(known->record);
            entry.nodes.push_back(position->second);
        }
        entries.push_back(std::move(entry));
    }
    for (const auto& [node, position] : positions) {
        const auto peer = peers_.find(node);
        if (!peer) continue;
        proto::UpdateHolders update{{root_, records, {}}};
        for (const auto& entry : entries) {
            if (std::find(entry.nodes.begin(), entry.nodes.end(), position) == entry.nodes.end())
                continue;
            update.table.entries.push_back(entry);
            if (update.table.entries.size() < limits::table_entries_per_message) continue;
            peer->notify(update);
            update.table.entries.clear();
        }
        if (!update.table.entries.empty()) peer->notify(std::move(update));
    }
    // Our own table serves whoever asks us.
    std::vector<store::KnownHolder> known;
    for (const auto& item : placer_->items())
        for (const auto& node : planner.holders(item))
            known.push_back({item, node});
    auto& store = services_.store;
    services_.runtime.run_on_worker(
        [&store, known, records] {
            for (const auto& record : records)
                if (auto kept = store.put_node_record(record); !kept)
                    log::warn("publisher", "record not kept: {}", kept.error().message());
            if (auto kept = store.add_holders(known); !kept)
                log::warn("publisher", "holders not kept: {}", kept.error().message());
        },
        [] {});
}

asio::awaitable<Result<PublishResult>> Publisher::run(PublishRequest request, ProgressFn progress) {
    const auto started = services_.runtime.now();
    progress_ = std::move(progress);
    lease_.copies = static_cast<std::uint8_t>(request.copies);
    core::UniqueFd source;
    if (!request.folder)
        source.reset(request.fd >= 0 ? ::fcntl(request.fd, F_DUPFD_CLOEXEC, 0)
                                     : ::open(request.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!request.folder && !source) co_return fail_errno(errno, request.path.string());
    auto descriptor = co_await ingest(request, source.get());
    if (!descriptor) co_return fail(descriptor.error());
    if (request.stop.stop_requested())
        co_return fail(Errc::interrupted, "stopped before it was published");
    descriptor_ = std::move(*descriptor);
    root_ = descriptor_.root();
    transfer_->set_root(root_);
    if (settings_.is_blocked(root_)) co_return fail(Errc::refused, blocked_text(root_));
    const auto kept = co_await keep(request);
    if (!kept) co_return fail(kept.error());
    is_kept_ = true;
    std::vector<proto::ItemId> own;
    for (const auto& extent : descriptor_.extents)
        own.push_back(proto::ItemId::of(extent));
    if (settings_.storing) announcer_.add(root_, descriptor_, own);

    PublishResult result;
    if (request.wait != PublishWait::none) {
        const auto reached = co_await place_and_announce(request);
        if (!reached) co_return fail(reached.error());
        result.copies = copies();
        // Then whoever wants it needs this node, which is no holder that anybody else would name.
        if (!settings_.storing && result.copies.min == 0) announcer_.add(root_, descriptor_, own);
        if (tasks_.stopping() || request.stop.stop_requested())
            co_return fail(Errc::interrupted,
                           fmt::format("stopped with {} of {} copies; publishing it again goes on "
                                       "from there, and `flow29 rm {}` takes it back",
                                       result.copies.min, request.copies, to_base32(root_)));
    }
    result.root = root_;
    result.link.root = root_;
    result.link.name = request.name;
    if (key_) result.link.key = key_->to_text(root_);
    result.link.size = descriptor_.length;
    result.bytes = descriptor_.length;
    result.chunks = core::chunks_in(descriptor_.length);
    result.extents = descriptor_.extents.size();
    result.target = request.copies;
    result.elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(services_.runtime.now() - started);
    if (request.wait != PublishWait::none && result.copies.min < request.copies)
        result.shortfall = shortfall(request.copies);
    co_return result;
}

}  // namespace flow29::node
