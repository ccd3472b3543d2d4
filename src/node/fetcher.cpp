// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/fetcher.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/stream_sink.hpp"

namespace flow29::node {

using namespace std::chrono_literals;
namespace log = core::log;

namespace {
constexpr Duration note_period = 100ms;
constexpr std::size_t guesses_max = 4;  // as many as there are copies as a rule
// A small download needs no more holders than were guessed, as a rule: their tables would be most
// of what it moves.
constexpr ByteCount small_bytes_max{limits::range_bytes_max};
constexpr std::size_t small_extents = 2;  // that it touches, unless extents are small as well
constexpr Duration guess_patience = 300ms;
constexpr Duration stall_min = 500ms;  // somebody waits
constexpr std::size_t extents_looked_for = 8;

std::chrono::milliseconds to_ms(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration);
}

std::vector<core::Endpoint> endpoints_of(const Link& link) {
    std::vector<core::Endpoint> endpoints;
    for (const auto& at : link.at)
        if (auto endpoint = core::Endpoint::parse(at)) endpoints.push_back(*endpoint);
    return endpoints;
}

bool is_small(const Download& download) {
    return download.planner().wanted() <= small_bytes_max;
}

/// Tells `progress` how a download stands.
std::function<void(const Download&)> reporter(ProgressFn progress) {
    return [progress = std::move(progress)](const Download& download) {
        if (!progress) return;
        Progress now;
        now.stage = Stage::data;
        now.done = download.done();
        now.total = download.total();
        now.own = download.own();
        now.holders = download.planner().usable_peers();
        progress(now);
    };
}

/// Has what was found be read as the link says: a private object with its key, a path only in a
/// directory.
Result<void> open_with(const Link& link, std::optional<core::FileKey> key, FoundObject& found) {
    if (found.descriptor.kind == ObjectKind::encrypted) {
        if (!key)
            return fail(Errc::refused,
                        "it is private, and this link has no key: the whole link ends with #k=..., "
                        "and is for the page or `flow29 fetch`, not for the gateway");
        found.key = std::move(key);
    }
    if (!link.path.empty() && found.kind() == ObjectKind::file)
        return fail(Errc::not_found, "it is a file: there is no \"" + link.path +
                                         "\" in it; leave the path "
                                         "away to get it");
    return {};
}
}  // namespace

Result<ByteRange> Fetcher::clip(std::optional<ByteRange> range, ByteRange within) {
    if (!range) return within;
    if (range->first >= within.count())
        return fail(Errc::usage,
                    fmt::format("the range begins at byte {}, and the file ends at byte {}",
                                range->first.value, within.count().value));
    const auto last = std::min(range->last, within.count());
    return ByteRange{within.first + range->first, within.first + last};
}

asio::awaitable<Result<FoundObject>> Fetcher::find(Link link, Duration timeout,
                                                   std::stop_token stop, ProgressFn progress) {
    auto& store = services_.store;
    const auto root = link.root;
    if (settings_.is_blocked(root)) co_return fail(Errc::refused, blocked_text(root));
    std::optional<core::FileKey> key;
    if (!link.key.empty()) {
        auto parsed = core::FileKey::parse(link.key, root);
        if (!parsed) co_return fail(parsed.error());
        key = std::move(*parsed);
    }
    auto look = [&store, root]() -> std::optional<FoundObject> {
        auto descriptor = store.descriptor(root);
        if (!descriptor) return std::nullopt;
        FoundObject found;
        found.descriptor = std::move(*descriptor);
        for (std::uint64_t i = 0; i < found.descriptor.extents.size(); ++i)
            if (store.has_extent(found.descriptor.extents[i])) found.local.insert(ExtentIndex(i));
        return found;
    };
    auto local = co_await net::offload(services_.runtime, std::move(look));
    if (local)
        if (auto opened = open_with(link, key, *local); !opened) co_return fail(opened.error());
    // What is all here needs no network.
    if (local && local->local.size() == local->descriptor.extents.size())
        co_return std::move(*local);
    StageFn stage = [progress](Stage at, std::size_t holders) {
        if (!progress) return;
        Progress now;
        now.stage = at;
        now.holders = holders;
        progress(now);
    };
    auto at = endpoints_of(link);
    auto found = co_await finder_.find_object(root, std::move(at), timeout, std::move(stop),
                                              std::move(stage), Finder::Aim::first);
    if (!found) co_return fail(found.error());
    if (auto opened = open_with(link, std::move(key), *found); !opened)
        co_return fail(opened.error());
    if (local) found->local = std::move(local->local);
    co_return found;
}

std::shared_ptr<Download> Fetcher::make_download(const FoundObject& found, ByteRange want,
                                                 const core::RangeSet& have, PieceSink& sink,
                                                 Download::Options options) {
    // The download calls find_more only while it lives, so a weak pointer set right after is
    // enough.
    auto handle = std::make_shared<std::weak_ptr<Download>>();
    options.find_more = [this, handle](std::vector<ExtentIndex> starved) {
        return find_more(*handle, std::move(starved));
    };
    options.local = found.local;
    options.key = found.key;
    options.budget = &budget_;
    options.planner.stall_min = stall_min;
    auto download = std::make_shared<Download>(services_, tasks_, peers_, found.descriptor, want,
                                               have, sink, std::move(options));
    *handle = download;
    auto beginning = guess_holders(*download, found);
    for (const auto& peer : found.holders)
        download->add_holder(peer, false);
    if (found.local.size() == found.descriptor.extents.size()) return download;
    tasks_.start(add_holders(download, found.holders));
    // Those who answer only now have a table as well, and not always the same one.
    if (found.search)
        found.search->on_holder([this, beginning = std::move(beginning),
                                 weak = std::weak_ptr(download)](const net::PeerPtr& peer) {
            const auto running = weak.lock();
            if (!running) return;
            for (const auto extent : beginning)
                if (!running->first_bytes_at()) running->guess_holder(peer, extent);
            tasks_.start(add_holders(running, {peer}));
        });
    return download;
}

/// Has the beginning asked for before anybody said who holds it: who lacks it says so in the round
/// trip that asking who holds it would take.
std::vector<ExtentIndex> Fetcher::guess_holders(Download& download, const FoundObject& found) {
    const auto now = services_.runtime.now();
    auto beginning = download.planner().starved(is_small(download) ? small_extents : 1, now);
    for (const auto extent : beginning) {
        const auto item = proto::ItemId::of(found.descriptor.extents[extent.value]);
        for (const auto& peer : finder_.likely_holders(item, guesses_max))
            download.guess_holder(peer, extent);
        for (const auto& peer : found.holders)
            download.guess_holder(peer, extent);
    }
    return beginning;
}

asio::awaitable<void> Fetcher::add_holders(std::shared_ptr<Download> download,
                                           std::vector<net::PeerPtr> known) {
    const auto patience = is_small(*download) ? guess_patience : Duration::zero();
    const bool is_needed = co_await download->wait_short_of_holders(patience);
    if (!is_needed) co_return;
    const auto root = download->descriptor().root();
    const auto wanted = download->planner().unfinished();
    if (wanted.empty()) co_return;
    const Finder::ExtentSpan extents{wanted.front(), ExtentIndex(wanted.back().value + 1)};
    Finder::HolderFn tell = [weak = std::weak_ptr(download)](const net::PeerPtr& peer) {
        if (const auto running = weak.lock()) running->add_holder(peer, false);
    };
    co_await finder_.reach_holders(root, extents, std::move(known), std::move(tell));
}

asio::awaitable<void> Fetcher::find_more(std::weak_ptr<Download> weak,
                                         std::vector<ExtentIndex> starved) {
    const auto download = weak.lock();
    if (!download) co_return;
    starved.resize(std::min(starved.size(), extents_looked_for));
    // Those at hand are asked before anybody is looked for.
    std::vector<proto::ItemId> items;
    for (const auto extent : starved)
        items.push_back(proto::ItemId::of(download->descriptor().extents[extent.value]));
    for (const auto& item : items)
        for (const auto& peer : finder_.likely_holders(item, limits::candidates_max))
            download->add_holder(peer, false);
    // A new look at the object's own key finds new descriptor holders, and these new tables.
    const auto root = download->descriptor().root();
    auto at_root = co_await finder_.locate(proto::ItemId::of(root));
    auto near_root = std::move(at_root.by_record);
    near_root.insert(near_root.end(), at_root.nearby.begin(), at_root.nearby.end());
    co_await add_holders(download, near_root);
    for (const auto& item : items) {
        auto located = co_await finder_.locate(item);
        for (const auto& peer : located.by_record)
            download->add_holder(peer, false);
        for (const auto& peer : located.nearby)
            download->add_holder(peer, false);
    }
}

asio::awaitable<void> Fetcher::note_progress(std::weak_ptr<PartialOutput> weak,
                                             std::shared_ptr<bool> ended) {
    while (!*ended) {
        // Not held while this sleeps: the next fetch to the same place may come at once.
        const bool go_on = co_await tasks_.sleep_for(note_period);
        const auto output = weak.lock();
        if (!go_on || *ended || !output) co_return;
        if (!output->note_due()) continue;
        auto verified = output->verified();
        output->on_noted();
        auto job = [output, verified = std::move(verified)] { return output->note(verified); };
        const auto noted = co_await net::offload(services_.runtime, std::move(job));
        if (!noted) log::warn("fetch", "progress not noted: {}", noted.error().message());
    }
}

asio::awaitable<FetchResult> Fetcher::share(std::shared_ptr<PartialFile> file,
                                            core::Descriptor descriptor, std::string name,
                                            bool keep_copy, FetchResult result) {
    auto& store = services_.store;
    const auto root = result.root;
    auto job = [&store, file, root, &descriptor, name, keep_copy]() -> Result<Sharing> {
        if (!keep_copy && !file->is_readable())
            return fail(Errc::refused,
                        "the node may not read it where it lies; --keep-copy shares a copy");
        if (auto kept = store.put_object(root, descriptor, name); !kept) return fail(kept.error());
        if (keep_copy) {
            if (auto kept = file->copy_into_store(); !kept) return fail(kept.error());
            return Sharing::copy;
        }
        const auto references = file->references();
        if (auto kept = store.put_references(references); !kept) return fail(kept.error());
        return references.empty() ? Sharing::none : Sharing::in_place;
    };
    const auto kept = co_await net::offload(services_.runtime, std::move(job));
    if (!kept) {
        log::info("fetch", "not shared: {}", kept.error().message());
        result.unshared_why = kept.error().message();
        co_return result;
    }
    // Others are not told of a node that keeps nothing for them.
    if (!settings_.storing) co_return result;
    result.shared = *kept;
    announcer_.add(root, descriptor, {});
    co_return result;
}

asio::awaitable<Result<std::shared_ptr<Download>>> Fetcher::fill(
    FoundObject found, ByteRange want, std::shared_ptr<PartialOutput> output, Patience patience,
    ProgressFn progress, std::shared_ptr<Transfer> transfer) {
    Download::Options options;
    options.idle_timeout = patience.idle_timeout;
    options.stop = patience.stop;
    options.progress = reporter(std::move(progress));
    options.is_paused = Transfer::is_paused(transfer);
    const auto download =
        make_download(found, want, output->verified(), *output, std::move(options));
    transfer->watch(download);
    const auto ended = std::make_shared<bool>(false);
    tasks_.start(note_progress(output, ended));
    const auto outcome = co_await download->run();
    *ended = true;
    auto verified = output->verified();
    auto close = [output, verified, done = outcome.has_value()] {
        return done ? output->finish() : output->leave(verified);
    };
    const auto closed = co_await net::offload(services_.runtime, std::move(close));
    if (!outcome) co_return fail(outcome.error());
    if (!closed) co_return fail(closed.error());
    co_return download;
}

FetchResult Fetcher::result_of(const FetchRequest& request, const Download& download,
                               TimePoint started) const {
    FetchResult result;
    result.root = request.link.root;
    result.path = request.path;
    result.fetched = download.fetched();
    result.holders = download.served_by();
    result.elapsed = to_ms(services_.runtime.now() - started);
    result.first_byte =
        to_ms(download.first_bytes_at().value_or(services_.runtime.now()) - started);
    return result;
}

asio::awaitable<Result<FetchResult>> Fetcher::fetch_file(FetchRequest request, FoundObject found,
                                                         Target target, ProgressFn progress,
                                                         std::shared_ptr<Transfer> transfer) {
    const auto started = services_.runtime.now();
    const auto want = clip(request.range, target.bytes);
    if (!want) co_return fail(want.error());
    const auto descriptor = std::make_shared<const core::Descriptor>(found.descriptor);
    // What lies in the file then is not what others need.
    if (found.key) request.share = false;
    // A part of a file is not what was changed then.
    const bool is_whole = want->count() == target.bytes.count();
    PartialFile::Options options{.path = request.path,
                                 .root = request.link.root,
                                 .range = *want,
                                 .overwrite = request.overwrite,
                                 .share = request.share,
                                 .executable = target.executable,
                                 .modified = is_whole ? target.modified : std::nullopt,
                                 .key = found.key,
                                 .folder = request.folder,
                                 .stop = request.stop};
    const auto file =
        std::make_shared<PartialFile>(services_.store, *descriptor, std::move(options));
    auto open = [file] { return file->open(); };
    const auto opened = co_await net::offload(services_.runtime, std::move(open));
    if (!opened) co_return fail(opened.error());
    Patience patience{request.idle_timeout, request.stop};
    const auto done = co_await fill(std::move(found), *want, file, std::move(patience),
                                    std::move(progress), std::move(transfer));
    if (!done) co_return fail(done.error());
    auto result = result_of(request, **done, started);
    result.bytes = want->count();
    if (request.share) {
        auto copy = *descriptor;
        auto name = target.manifest ? request.link.name : request.path.filename().string();
        result = co_await share(file, std::move(copy), std::move(name), request.keep_copy,
                                std::move(result));
    }
    co_return result;
}

asio::awaitable<Result<FetchResult>> Fetcher::fetch(FetchRequest request, ProgressFn progress) {
    const auto started = services_.runtime.now();
    if (!request.path.has_filename()) request.path = request.path.parent_path();
    // What is in somebody else's folder is looked at on a worker, later.
    std::error_code ec;
    const bool goes_inside =
        request.folder ? request.inside != nullptr
                       : !request.name.empty() && std::filesystem::is_directory(request.path, ec);
    // Anything else there is told of when it is known what is to be in its place.
    if (!request.folder && !request.overwrite &&
        std::filesystem::is_regular_file(std::filesystem::symlink_status(request.path, ec)))
        co_return fail(
            Errc::exists_already,
            request.path.string() +
                " exists already; --overwrite replaces it, if what is fetched is a file");
    const auto transfer = transfers_.begin({.kind = TransferKind::fetch,
                                            .root = request.link.root,
                                            .name = request.link.name,
                                            .path = request.path.string(),
                                            .stop = request.stop});
    request.stop = transfer->stop_token();
    progress = Transfer::noted(transfer, std::move(progress));
    auto found = co_await find(request.link, request.idle_timeout, request.stop, progress);
    if (!found) co_return fail(found.error());
    Patience patience{request.idle_timeout, request.stop};
    auto target = co_await resolve(*found, request.link.path, std::move(patience));
    if (!target) co_return fail(target.error());
    if (target->kind == ObjectKind::file && goes_inside) {
        request.path /= request.name;
        request.folder = request.inside;
    }
    Result<FetchResult> fetched;
    if (target->kind == ObjectKind::directory)
        fetched = co_await fetch_directory(std::move(request), std::move(*found),
                                           std::move(*target), std::move(progress), transfer);
    else
        fetched = co_await fetch_file(std::move(request), std::move(*found), std::move(*target),
                                      std::move(progress), transfer);
    // The search counts: `first_byte` and `elapsed` are what somebody waits.
    if (!fetched) co_return fail(fetched.error());
    const auto all = to_ms(services_.runtime.now() - started);
    fetched->first_byte += all - fetched->elapsed;
    fetched->elapsed = all;
    co_return fetched;
}

asio::awaitable<Result<FetchResult>> Fetcher::stream(StreamRequest request, HeadFn head,
                                                     SinkFn sink, ProgressFn progress) {
    const auto started = services_.runtime.now();
    const auto& path = request.link.path;
    const auto transfer = transfers_.begin(
        {.kind = TransferKind::stream,
         .root = request.link.root,
         .name = path.empty() ? request.link.name : path.substr(path.rfind('/') + 1),
         .path = {},
         .stop = request.stop});
    request.stop = transfer->stop_token();
    progress = Transfer::noted(transfer, std::move(progress));
    auto found = co_await find(request.link, request.idle_timeout, request.stop, progress);
    if (!found) co_return fail(found.error());
    Patience patience{request.idle_timeout, request.stop};
    const auto target = co_await resolve(*found, request.link.path, std::move(patience));
    if (!target) co_return fail(target.error());
    if (target->kind == ObjectKind::directory)
        co_return fail(Errc::is_directory,
                       "it is a directory; `flow29 ls` lists what can be had from it");
    const auto want = clip(request.range, target->bytes);
    if (!want) co_return fail(want.error());
    const auto begin = target->bytes.first;
    if (head) head(target->kind, target->bytes.count(), {want->first - begin, want->last - begin});

    std::stop_source stop;
    const std::stop_callback forward(request.stop, [&stop] { stop.request_stop(); });
    const auto ordered = std::make_shared<StreamSink>(services_.runtime, *want, std::move(sink));
    Download::Options options;
    options.planner.in_order = true;
    options.is_paused = Transfer::is_paused(transfer);
    options.idle_timeout = request.idle_timeout;
    options.stop = stop.get_token();
    options.progress = reporter(progress);
    const auto download =
        make_download(*found, *want, core::RangeSet(), *ordered, std::move(options));
    transfer->watch(download);
    ordered->on_consumed([weak = std::weak_ptr(download)](ByteCount offset) {
        if (const auto running = weak.lock()) running->on_consumed(offset);
    });
    ordered->on_refused([&stop] { stop.request_stop(); });
    const auto outcome = co_await download->run();
    ordered->on_refused({});
    if (ordered->refused()) co_return fail(Errc::interrupted, "the reader went away");
    if (!outcome) co_return fail(outcome.error());
    const bool drained = co_await ordered->drained(request.stop);
    if (!drained) co_return fail(Errc::interrupted, "the reader went away");

    FetchResult result;
    result.root = request.link.root;
    result.bytes = want->count();
    result.fetched = download->fetched();
    result.holders = download->served_by();
    result.elapsed = to_ms(services_.runtime.now() - started);
    result.first_byte =
        to_ms(download->first_bytes_at().value_or(services_.runtime.now()) - started);
    co_return result;
}

}  // namespace flow29::node
