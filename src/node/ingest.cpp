// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/ingest.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/core.h>

#include "core/hash.hpp"
#include "core/manifest.hpp"
#include "core/merkle.hpp"
#include "node/gather.hpp"
#include "store/checksum.hpp"

namespace flow29::node {

namespace {
constexpr std::uint64_t batch_bytes = 16ULL << 20;
constexpr std::size_t batches_at_once = 2;
constexpr auto pause_look = std::chrono::milliseconds(200);
}  // namespace

Ingest::Ingest(Services services, Tasks& tasks, Options options)
    : services_(services), tasks_(tasks), options_(std::move(options)) {}

Result<std::vector<ExtentHash>> Ingest::take_in(const core::Layout& layout, Batch batch) const {
    std::vector<ExtentHash> hashes;
    std::vector<store::NewExtent> copies;
    std::vector<store::ExtentReference> references;
    for (std::uint64_t i = 0; i < batch.count; ++i) {
        const ExtentIndex index(batch.first.value + i);
        const auto bytes = layout.extent_bytes(index);
        core::Buffer data(bytes.count().value);
        if (auto read = options_.source->read(bytes.first.value, data.span()); !read)
            return fail(read.error());
        const auto tree = core::GroupTree::build(data.view(), limits::hash_group_level);
        hashes.push_back(tree.top());
        std::vector<TreeHash> groups(tree.group_hashes().begin(), tree.group_hashes().end());
        if (options_.reference.empty()) {
            copies.push_back({hashes.back(), std::move(data), std::move(groups)});
        } else {
            references.push_back({hashes.back(), options_.reference, bytes.first, bytes.count(),
                                  std::move(groups), store::block_checksums(data.view())});
        }
    }
    const auto kept = options_.reference.empty()
                          ? services_.store.put_extents(std::move(copies))
                          : services_.store.put_references(std::move(references));
    if (!kept) return fail(kept.error());
    return hashes;
}

asio::awaitable<Result<std::vector<ExtentHash>>> Ingest::run_batch(core::Layout layout,
                                                                   Batch batch) {
    auto job = [this, layout, batch] { return take_in(layout, batch); };
    auto hashes = co_await net::offload(services_.runtime, std::move(job));
    if (hashes) {
        for (std::uint64_t i = 0; i < batch.count; ++i)
            done_ += layout.extent_length(ExtentIndex(batch.first.value + i));
        if (options_.progress) options_.progress(done_, layout.length());
    }
    co_return hashes;
}

asio::awaitable<Result<core::Descriptor>> Ingest::run() {
    const auto length = options_.source->length();
    const auto usual = options_.source->kind() == ObjectKind::directory
                           ? core::default_directory_level(length)
                           : core::default_extent_level(length);
    const auto level = options_.level.value_or(usual);
    const core::Layout layout(length, level);
    if (layout.extents() > limits::extents_per_object_max)
        co_return fail(Errc::usage,
                       fmt::format("{} extents are more than an object can have ({}); choose a "
                                   "larger --extent-chunks",
                                   layout.extents(), limits::extents_per_object_max));
    core::Descriptor descriptor{options_.source->kind(), length, level, {}};

    const auto extent_bytes = layout.chunks_per_extent().value * limits::chunk_bytes;
    const auto per_batch = std::max<std::uint64_t>(1, batch_bytes / extent_bytes);
    for (std::uint64_t next = 0; next < layout.extents();) {
        if (options_.stop.stop_requested() || tasks_.stopping())
            co_return fail(Errc::interrupted, "stopped before it was published");
        if (options_.is_paused && options_.is_paused()) {
            (void)co_await tasks_.sleep_for(pause_look);
            continue;
        }
        std::vector<Batch> wave;
        for (std::size_t i = 0; i < batches_at_once && next < layout.extents(); ++i) {
            const auto count = std::min(per_batch, layout.extents() - next);
            wave.push_back({ExtentIndex(next), count});
            next += count;
        }
        Gather<std::pair<std::uint64_t, Result<std::vector<ExtentHash>>>> gather(services_.runtime,
                                                                                 tasks_);
        for (const auto& batch : wave)
            gather.start(run_numbered(layout, batch));
        auto results = co_await gather.all();
        std::sort(results.begin(), results.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        for (auto& [first, hashes] : results) {
            if (!hashes) co_return fail(hashes.error());
            descriptor.extents.insert(descriptor.extents.end(), hashes->begin(), hashes->end());
            if (options_.on_hashed) options_.on_hashed(layout, *hashes);
        }
    }
    auto look = [this] { return options_.source->check_unchanged(); };
    const auto unchanged = co_await net::offload(services_.runtime, std::move(look));
    if (!unchanged) co_return fail(unchanged.error());
    co_return descriptor;
}

asio::awaitable<std::pair<std::uint64_t, Result<std::vector<ExtentHash>>>> Ingest::run_numbered(
    core::Layout layout, Batch batch) {
    auto hashes = co_await run_batch(layout, batch);
    co_return std::pair(batch.first.value, std::move(hashes));
}

Result<HashResult> hash_source(const Source& source, const std::function<void(ByteCount)>& progress,
                               const std::stop_token& stop) {
    const ByteCount length = source.length();
    // The level does not enter the root; small extents keep the memory of each thread in its cache.
    const core::Layout layout(length, limits::extent_level_auto_min);
    std::vector<TreeHash> tops(layout.extents());
    std::atomic<std::uint64_t> next = 0;
    std::atomic<std::uint64_t> done = 0;
    std::mutex mutex;
    std::optional<Error> failed;  // guarded by mutex
    const auto work = [&](bool reports) {
        core::Buffer buffer(layout.chunks_per_extent().value * limits::chunk_bytes);
        for (;;) {
            const auto index = next.fetch_add(1);
            if (index >= tops.size()) return;
            const auto bytes = layout.extent_bytes(ExtentIndex(index));
            const auto data = buffer.span().first(bytes.count().value);
            auto read = stop.stop_requested() ? Result<void>(fail(Errc::interrupted, "stopped"))
                                              : source.read(bytes.first.value, data);
            if (!read) {
                const std::lock_guard lock(mutex);
                failed = std::move(read.error());
                next = tops.size();
                return;
            }
            tops[index] = core::tree_hash(data);
            const auto sum = done.fetch_add(data.size()) + data.size();
            if (reports && progress) progress(ByteCount(sum));
        }
    };
    {
        const auto threads =
            std::min<std::uint64_t>(std::max(1U, std::thread::hardware_concurrency()), tops.size());
        std::vector<std::jthread> helpers;
        for (std::uint64_t i = 1; i < threads; ++i)
            helpers.emplace_back(work, false);
        work(true);
    }
    if (failed) return fail(*failed);
    if (auto unchanged = source.check_unchanged(); !unchanged) return fail(unchanged.error());
    return HashResult{core::root_hash(source.kind(), length, core::fold(tops)), length,
                      core::chunks_in(length)};
}

}  // namespace flow29::node

namespace flow29 {

Result<HashResult> hash_file(int fd, const std::function<void(ByteCount)>& progress, bool times) {
    const auto source = node::open_source(fd, times);
    if (!source) return fail(source.error());
    return node::hash_source(**source, progress, {});
}

}  // namespace flow29
