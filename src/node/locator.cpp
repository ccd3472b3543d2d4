// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/locator.hpp"

#include <algorithm>
#include <set>

#include "core/hash.hpp"
#include "node/progress.hpp"

namespace flow29::node {

using namespace std::chrono_literals;

namespace {
constexpr Duration request_timeout = 8s;
}  // namespace

asio::awaitable<Locator::Found> Locator::holders_at(proto::ItemId item) {
    auto located = co_await finder_.locate(item);
    std::vector<net::PeerPtr> asked = located.by_record;
    asked.insert(asked.end(), located.nearby.begin(), located.nearby.end());
    std::vector<proto::ItemId> items{item};
    auto holdings = co_await finder_.ask_holdings(asked, std::move(items));
    Found found;
    found.chunk_length = located.chunk_length;
    std::set<NodeId> seen;  // it has a record for each family of addresses, and may be near as well
    for (const auto& peer : asked) {
        const auto answer = holdings.find(peer->id());
        if (answer == holdings.end() || answer->second[0] < proto::Holding::cached) continue;
        if (!seen.insert(peer->id()).second) continue;
        Holder holder;
        holder.node = peer->id();
        for (const auto& address : peer->record().addresses)
            holder.addresses.push_back(address.to_string());
        holder.by_record = std::find(located.by_record.begin(), located.by_record.end(), peer) !=
                           located.by_record.end();
        found.holders.push_back(std::move(holder));
    }
    co_return found;
}

asio::awaitable<Result<proto::ItemId>> Locator::extent_with_chunk(ChunkHash chunk, Link in,
                                                                  ProgressFn progress) {
    // Leaves of a larger extent are on no index: the object is read and hashed until one matches.
    struct Search {
        std::uint64_t offset = 0;
        std::optional<std::uint64_t> found_at;
    };
    const auto search = std::make_shared<Search>();
    SinkFn sink = [search, chunk](ByteView bytes, std::function<void(bool)> next) {
        // Pieces begin on chunk borders and only the last one ends off one.
        std::vector<ChunkHash> leaves(core::chunks_in(ByteCount(bytes.size())).value);
        core::leaf_hashes(bytes, leaves);
        for (std::size_t i = 0; i < leaves.size() && !search->found_at; ++i)
            if (leaves[i] == chunk) search->found_at = search->offset + i * limits::chunk_bytes;
        search->offset += bytes.size();
        next(!search->found_at);
    };
    StreamRequest request;
    request.link = in;
    HeadFn head;
    auto streamed =
        co_await fetcher_.stream(std::move(request), std::move(head), std::move(sink), progress);
    if (search->found_at) {
        const auto root = in.root;
        auto stage = stage_reporter(progress);
        std::vector<core::Endpoint> at;
        auto object =
            co_await finder_.find_object(root, std::move(at), request_timeout, std::stop_token(),
                                         std::move(stage), Finder::Aim::all);
        if (!object) co_return fail(object.error());
        const auto extent = object->descriptor.layout().extent_of(ByteCount(*search->found_at));
        co_return proto::ItemId::of(object->descriptor.extents[extent.value]);
    }
    if (!streamed) co_return fail(streamed.error());
    co_return fail(Errc::not_found, "the object has no such chunk");
}

asio::awaitable<Result<Located>> Locator::locate(std::string hash, std::optional<Link> in,
                                                 Duration timeout, ProgressFn progress) {
    Located located;
    auto parsed = Link::parse(hash);
    if (!parsed) co_return fail(parsed.error());
    const auto raw = parsed->root;
    located.hash = to_hex(raw);
    if (!neighbourhood_.joined()) report_stage(progress, Stage::joining, 0);
    const bool joined = co_await neighbourhood_.wait_joined(services_.runtime.now() +
                                                            std::min<Duration>(timeout, 15s));
    if (!joined) co_return fail(Errc::no_network, neighbourhood_.nobody_answered());

    report_stage(progress, Stage::looking_up, 0);
    const auto as_root = proto::ItemId::of(raw);
    auto found = co_await holders_at(as_root);
    located.kind = "root";
    if (found.holders.empty()) {
        const auto extent = ExtentHash{raw.bytes};
        const auto as_extent = proto::ItemId::of(extent);
        found = co_await holders_at(as_extent);
        located.kind = "extent";
        // At level 0 an extent is a chunk, and its records say how long it is.
        if (!found.holders.empty() && found.chunk_length) {
            const auto holder = found.holders.front().node;
            const bool single = co_await is_single_chunk(extent, *found.chunk_length, holder);
            if (single) located.kind = "chunk";
        }
    }
    if (found.holders.empty() && in) {
        auto link = *in;
        const auto chunk = ChunkHash{raw.bytes};
        auto extent = co_await extent_with_chunk(chunk, std::move(link), progress);
        if (!extent) co_return fail(extent.error());
        const auto item = *extent;
        found = co_await holders_at(item);
        located.kind = "chunk";
    }
    if (found.holders.empty())
        co_return fail(
            Errc::not_found,
            in ? "no reachable node holds it"
               : "no reachable node holds this as a root or an extent; a chunk of a larger "
                 "extent is found through its object: --in LINK");
    located.holders = std::move(found.holders);
    co_return located;
}

asio::awaitable<bool> Locator::is_single_chunk(ExtentHash extent, ByteCount length, NodeId holder) {
    const auto peer = peers_.find(holder);
    if (!peer) co_return false;
    // The first chunk of an extent is the whole extent exactly when its leaf is the extent's hash.
    if (length.value == 0 || length.value > limits::chunk_bytes) co_return false;
    proto::Message ask = proto::GetRange{extent, length, ChunkRange{ChunkIndex(0), ChunkIndex(1)}};
    auto reply = co_await peer->request(std::move(ask), request_timeout);
    co_return reply &&
        reply->body.size() == length.value&& core::leaf_hash(reply->body.view()) == extent;
}

}  // namespace flow29::node
