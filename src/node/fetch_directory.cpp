// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <fmt/core.h>

#include "core/printable.hpp"
#include "node/fetcher.hpp"
#include "node/partial_directory.hpp"

namespace flow29::node {

namespace {
/// Asked for before it is known how long the manifest is: most are shorter, and it is one piece.
constexpr ByteCount first_look{64 * 1024};

/// Keeps a range of an object in memory.
class MemorySink final : public PieceSink {
  public:
    explicit MemorySink(ByteRange range) : range_(range), bytes_(range.count().value) {}

    [[nodiscard]] Result<void> store(const Piece&, ByteView, const core::VerifiedRange&) override {
        return {};
    }
    void deliver(const Piece& piece, core::Buffer& data) override {
        const auto first = std::max(piece.bytes.first, range_.first);
        const auto last = std::min(piece.bytes.last, range_.last);
        if (first >= last) return;
        const auto part =
            data.view().subspan((first - piece.bytes.first).value, (last - first).value);
        std::copy(part.begin(), part.end(),
                  bytes_.begin() + static_cast<std::ptrdiff_t>((first - range_.first).value));
    }
    [[nodiscard]] Bytes take() { return std::move(bytes_); }

  private:
    ByteRange range_;
    Bytes bytes_;
};
}  // namespace

asio::awaitable<Result<Bytes>> Fetcher::read(FoundObject found, ByteRange range,
                                             Patience patience) {
    MemorySink sink(range);
    Download::Options options;
    options.idle_timeout = patience.idle_timeout;
    options.stop = patience.stop;
    const auto download = make_download(found, range, core::RangeSet(), sink, std::move(options));
    const auto outcome = co_await download->run();
    if (!outcome) co_return fail(outcome.error());
    co_return sink.take();
}

asio::awaitable<Result<std::shared_ptr<const core::Manifest>>> Fetcher::manifest(
    FoundObject found, Patience patience) {
    const auto root = found.descriptor.root();
    const auto length = found.descriptor.length;
    if (auto known = manifests_.find(root)) co_return known;
    const ByteRange begin{ByteCount(0), std::min(length, first_look)};
    auto raw = co_await read(found, begin, patience);
    if (!raw) co_return fail(raw.error());
    const auto size = core::Manifest::encoded_bytes(*raw, length);
    if (!size) co_return fail(size.error());
    if (*size > begin.last) {
        const ByteRange rest{begin.last, *size};
        const auto more = co_await read(found, rest, patience);
        if (!more) co_return fail(more.error());
        raw->insert(raw->end(), more->begin(), more->end());
    }
    raw->resize(size->value);
    auto decode = [raw = std::move(*raw), length]() -> Result<ManifestCache::Entry> {
        auto decoded = core::Manifest::decode(raw, length);
        if (!decoded) return fail(decoded.error());
        return std::make_shared<const core::Manifest>(std::move(*decoded));
    };
    auto decoded = co_await net::offload(services_.runtime, std::move(decode));
    if (decoded) manifests_.insert(root, *decoded);
    co_return decoded;
}

asio::awaitable<Result<Fetcher::Target>> Fetcher::resolve(FoundObject found, std::string path,
                                                          Patience patience) {
    Target target;
    target.kind = found.kind();
    target.bytes = {ByteCount(0), found.descriptor.length};
    if (target.kind == ObjectKind::file) co_return target;
    auto known = co_await manifest(std::move(found), std::move(patience));
    if (!known) co_return fail(known.error());
    target.manifest = std::move(*known);
    // "photos/" is what "photos" is, in case that is a directory.
    const bool needs_directory = path.ends_with('/');
    while (path.ends_with('/'))
        path.pop_back();
    if (path.empty()) co_return target;
    const auto index = target.manifest->find(path);
    if (!index && target.manifest->below(path).empty())
        co_return fail(Errc::not_found,
                       fmt::format("there is no \"{}\" in it", core::printable(path)));
    if (!index) co_return target;
    const auto type = target.manifest->entries()[*index].type;
    if (type == EntryType::empty_directory) co_return target;
    if (needs_directory)
        co_return fail(Errc::not_found, fmt::format("\"{}\" is a file", core::printable(path)));
    target.kind = ObjectKind::file;
    target.bytes = target.manifest->place(*index);
    if (target.bytes.empty()) target.bytes = ByteRange{};
    target.executable = type == EntryType::executable;
    target.modified = target.manifest->entries()[*index].modified;
    co_return target;
}

asio::awaitable<Result<FetchResult>> Fetcher::fetch_directory(FetchRequest request,
                                                              FoundObject found, Target target,
                                                              ProgressFn progress,
                                                              std::shared_ptr<Transfer> transfer) {
    const auto started = services_.runtime.now();
    if (request.range)
        co_return fail(Errc::usage, "a range is one of a file, and this is a directory");
    PartialDirectory::Options options{request.path,      request.link.root, request.link.path,
                                      request.overwrite, found.key,         request.folder,
                                      request.stop};
    while (options.below.ends_with('/'))
        options.below.pop_back();
    const auto directory = std::make_shared<PartialDirectory>(services_.store, found.descriptor,
                                                              target.manifest, std::move(options));
    auto open = [directory] { return directory->open(); };
    const auto opened = co_await net::offload(services_.runtime, std::move(open));
    if (!opened) co_return fail(opened.error());
    const auto want = directory->wanted();
    Patience patience{request.idle_timeout, request.stop};
    const auto done = co_await fill(std::move(found), want, directory, std::move(patience),
                                    std::move(progress), std::move(transfer));
    if (!done) co_return fail(done.error());
    auto result = result_of(request, **done, started);
    result.kind = ObjectKind::directory;
    result.files = directory->files();
    result.bytes = directory->file_bytes();
    co_return result;
}

asio::awaitable<Result<Listing>> Fetcher::list(ListRequest request, ProgressFn progress) {
    auto found =
        co_await find(request.link, request.idle_timeout, request.stop, std::move(progress));
    if (!found) co_return fail(found.error());
    if (found->kind() == ObjectKind::file)
        co_return fail(Errc::usage, "it is a file, and only a directory can be listed");
    Patience patience{request.idle_timeout, request.stop};
    const auto target = co_await resolve(std::move(*found), request.link.path, std::move(patience));
    if (!target) co_return fail(target.error());
    Listing listing;
    listing.root = request.link.root;
    listing.key = request.link.key;
    listing.path = request.link.path;
    auto below = request.link.path;
    while (below.ends_with('/'))
        below.pop_back();
    const auto& manifest = *target->manifest;
    auto span = manifest.below(below);
    if (const auto index = manifest.find(below)) span = {*index, *index + 1};
    const auto first = manifest.entries().begin();
    listing.entries.assign(first + static_cast<std::ptrdiff_t>(span.first),
                           first + static_cast<std::ptrdiff_t>(span.last));
    for (const auto& entry : listing.entries)
        listing.bytes += entry.length;
    co_return listing;
}

}  // namespace flow29::node
