// SPDX-License-Identifier: GPL-3.0-or-later
#include "node/ingest.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/core.h>

#include "core/hash.hpp"
#include "core/merkle.hpp"
#include "node/gather.hpp"
#include "store/checksum.hpp"

namespace flow29::node {

namespace {
constexpr std::uint64_t batch_bytes = 16ULL << 20;
constexpr std::size_t batches_at_once = 2;
constexpr const char* changed_text = "the source changed while it was being read; publish it again";
}  // namespace

Result<void> read_exactly(int fd, std::uint64_t offset, std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto got =
            ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "reading the source");
        if (got == 0) return fail(Errc::refused, changed_text);
        done += static_cast<std::size_t>(got);
    }
    return {};
}

Ingest::Ingest(Services services, Tasks& tasks, Options options)
    : services_(services), tasks_(tasks), options_(std::move(options)) {}

Result<Ingest::Source> Ingest::inspect() const {
    struct stat status {};
    if (::fstat(options_.fd, &status) != 0) return fail_errno(errno, "looking at the source");
    if (S_ISDIR(status.st_mode)) return fail(Errc::usage, "the source is a directory");
    if (!S_ISREG(status.st_mode)) return fail(Errc::usage, "the source is not a regular file");
    return Source{ByteCount(static_cast<std::uint64_t>(status.st_size)),
                  std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
                  status.st_ino};
}

Result<std::vector<ExtentHash>> Ingest::take_in(const core::Layout& layout, Batch batch) const {
    std::vector<ExtentHash> hashes;
    std::vector<store::NewExtent> copies;
    std::vector<store::ExtentReference> references;
    for (std::uint64_t i = 0; i < batch.count; ++i) {
        const ExtentIndex index(batch.first.value + i);
        const auto bytes = layout.extent_bytes(index);
        core::Buffer data(bytes.count().value);
        if (auto read = read_exactly(options_.fd, bytes.first.value, data.span()); !read)
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
    const auto before = inspect();
    if (!before) co_return fail(before.error());
    const auto level = options_.level.value_or(core::default_extent_level(before->length));
    const core::Layout layout(before->length, level);
    if (layout.extents() > limits::extents_per_object_max)
        co_return fail(Errc::usage,
                       fmt::format("{} extents are more than an object can have ({}); choose a "
                                   "larger --extent-chunks",
                                   layout.extents(), limits::extents_per_object_max));
    core::Descriptor descriptor{ObjectKind::file, before->length, level, {}};

    const auto extent_bytes = layout.chunks_per_extent().value * limits::chunk_bytes;
    const auto per_batch = std::max<std::uint64_t>(1, batch_bytes / extent_bytes);
    for (std::uint64_t next = 0; next < layout.extents();) {
        if (options_.stop.stop_requested() || tasks_.stopping())
            co_return fail(Errc::interrupted, "stopped");
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
        }
    }
    const auto after = inspect();
    if (!after) co_return fail(after.error());
    if (*after != *before) co_return fail(Errc::refused, changed_text);
    co_return descriptor;
}

asio::awaitable<std::pair<std::uint64_t, Result<std::vector<ExtentHash>>>> Ingest::run_numbered(
    core::Layout layout, Batch batch) {
    auto hashes = co_await run_batch(layout, batch);
    co_return std::pair(batch.first.value, std::move(hashes));
}

}  // namespace flow29::node

namespace flow29 {

Result<HashResult> hash_file(int fd, const std::function<void(ByteCount)>& progress) {
    struct stat before {};
    if (::fstat(fd, &before) != 0) return fail_errno(errno, "looking at the source");
    if (!S_ISREG(before.st_mode)) return fail(Errc::usage, "the source is not a regular file");
    const ByteCount length(static_cast<std::uint64_t>(before.st_size));
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
            if (auto read = node::read_exactly(fd, bytes.first.value, data); !read) {
                const std::lock_guard lock(mutex);
                failed = read.error();
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
    struct stat after {};
    if (::fstat(fd, &after) != 0) return fail_errno(errno, "looking at the source");
    if (after.st_size != before.st_size || after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
        after.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
        return fail(Errc::refused, node::changed_text);
    return HashResult{core::root_hash(ObjectKind::file, length, core::fold(tops)), length,
                      core::chunks_in(length)};
}

}  // namespace flow29
