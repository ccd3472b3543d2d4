// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/uploads.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "api/unique_fd.hpp"
#include "core/identity.hpp"
#include "core/private_directory.hpp"

namespace flow29::api {
namespace {

std::string new_id() {
    std::array<std::uint8_t, 16> octets{};
    core::random_bytes(octets);
    return to_hex(octets);
}

bool is_relative_path(std::string_view path) {
    if (path.empty() || path.size() > limits::path_bytes_max) return false;
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        if (!is_file_name(path.substr(at, end - at))) return false;
        at = end + 1;
    }
    return true;
}

/// Below `uploads`, which is nobody else's.
Result<void> make_directories(const std::filesystem::path& path) {
    std::error_code ec;
    std::filesystem::create_directories(path, ec);
    if (ec) return fail(Errc::file_error, path.string() + ": " + ec.message());
    return {};
}

/// Writes at `offset`, over what a failed attempt left there. Nothing else writes below our own
/// directory, so no link can be in the way.
Result<void> write_at(const std::filesystem::path& path, ByteCount offset, std::string_view bytes) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return fail_errno(errno, "cannot create " + path.string());
    auto at = static_cast<off_t>(offset.value);
    while (!bytes.empty()) {
        const auto written = ::pwrite(file.get(), bytes.data(), bytes.size(), at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(errno, "cannot write " + path.string());
        bytes.remove_prefix(static_cast<std::size_t>(written));
        at += written;
    }
    return {};
}

}  // namespace

bool is_file_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.size() <= limits::path_component_bytes_max &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Uploads::Uploads(std::filesystem::path directory) : directory_(std::move(directory)) {
    std::error_code ec;
    std::filesystem::remove_all(directory_, ec);
}

Uploads::~Uploads() {
    // What is being published is read until the node stops; the next start removes it.
    std::error_code ec;
    for (const auto& [id, upload] : uploads_)
        if (!upload.closed) std::filesystem::remove_all(upload.base, ec);
}

Uploads::Upload* Uploads::find(const std::string& id) {
    const auto found = uploads_.find(id);
    return found == uploads_.end() ? nullptr : &found->second;
}

ByteCount Uploads::announced() const {
    ByteCount sum;
    for (const auto& [id, upload] : uploads_)
        sum += upload.offer.bytes - upload.received;
    return sum;
}

void Uploads::erase(const std::string& id) {
    std::error_code ec;
    std::filesystem::remove_all(uploads_.at(id).base, ec);
    uploads_.erase(id);
}

Result<Uploads::State> Uploads::begin(Offer offer, Clock::time_point now) {
    if (!is_file_name(offer.name)) return fail(Errc::usage, "\"name\" must be the name of a file");
    if (offer.bytes.value > limits::object_bytes_max)
        return fail(Errc::usage, "this is longer than an object can be");
    const std::lock_guard lock(mutex_);
    for (auto& [id, upload] : uploads_) {
        if (upload.closed || upload.offer != offer) continue;
        upload.touched = now;
        return State{id, upload.received, offer.bytes};
    }
    if (uploads_.size() >= limits::uploads_max)
        return fail(Errc::refused,
                    "too many files are on their way already; wait until some are "
                    "published");

    const std::string id = new_id();
    Upload upload;
    upload.base = directory_ / id;
    if (const auto made = core::make_private_directory(directory_); !made)
        return fail(made.error());
    const auto made = make_directories(offer.is_directory ? upload.base / offer.name : upload.base);
    if (!made) return fail(made.error());
    std::error_code ec;
    const auto space = std::filesystem::space(directory_, ec);
    if (!ec && (announced() + offer.bytes).value > space.available) {
        std::filesystem::remove_all(upload.base, ec);
        return fail(Errc::no_space, "there is not so much room on the disk that holds " +
                                        directory_.parent_path().string());
    }
    State state{id, ByteCount(0), offer.bytes};
    upload.offer = std::move(offer);
    upload.touched = now;
    uploads_.emplace(id, std::move(upload));
    return state;
}

Result<ByteCount> Uploads::write(const Slice& slice, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    Upload* const upload = find(slice.id);
    if (upload == nullptr) return fail(Errc::not_found, "there is no such upload");
    const Offer& offer = upload->offer;
    if (offer.is_directory ? !is_relative_path(slice.path) : !slice.path.empty())
        return fail(Errc::usage, "\"path\" must name a file inside the directory");
    const auto known = upload->files.find(slice.path);
    const ByteCount here = known == upload->files.end() ? ByteCount(0) : known->second;
    if (slice.offset != here || upload->closed)
        return fail(Errc::exists_already, "the next slice begins at " + std::to_string(here.value));
    if (known == upload->files.end() && upload->files.size() >= limits::upload_files_max)
        return fail(Errc::usage,
                    "these are too many files for a browser; `flow29 publish` takes a "
                    "directory of any size");
    const ByteCount more(slice.bytes.size());
    if (upload->received + more > offer.bytes)
        return fail(Errc::usage, "there is more of it than was announced");
    auto path = upload->base / offer.name;
    if (offer.is_directory) path /= slice.path;
    if (const auto made = make_directories(path.parent_path()); !made) return fail(made.error());
    if (const auto written = write_at(path, here, slice.bytes); !written)
        return fail(written.error());
    upload->files[slice.path] = here + more;
    upload->received += more;
    upload->touched = now;
    return here + more;
}

Result<ByteCount> Uploads::received(const std::string& id, const std::string& path) {
    const std::lock_guard lock(mutex_);
    Upload* const upload = find(id);
    if (upload == nullptr) return fail(Errc::not_found, "there is no such upload");
    const auto known = upload->files.find(path);
    return known == upload->files.end() ? ByteCount(0) : known->second;
}

Result<Uploads::Complete> Uploads::close(const std::string& id) {
    const std::lock_guard lock(mutex_);
    Upload* const upload = find(id);
    if (upload == nullptr) return fail(Errc::not_found, "there is no such upload");
    if (upload->closed) return fail(Errc::refused, "it is being published");
    if (upload->received != upload->offer.bytes)
        return fail(Errc::refused, "it has not come whole yet");
    const auto path = upload->base / upload->offer.name;
    // An empty file needed no slice.
    if (!upload->offer.is_directory)
        if (const auto made = write_at(path, ByteCount(0), {}); !made) return fail(made.error());
    upload->closed = true;
    return Complete{path, upload->offer.name};
}

void Uploads::release(const std::string& id, bool over) {
    const std::lock_guard lock(mutex_);
    Upload* const upload = find(id);
    if (upload == nullptr) return;
    if (over) return erase(id);
    upload->closed = false;
    upload->touched = Clock::now();
}

Result<void> Uploads::remove(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const Upload* const upload = find(id);
    if (upload == nullptr) return fail(Errc::not_found, "there is no such upload");
    if (upload->closed) return fail(Errc::refused, "it is being published");
    erase(id);
    return {};
}

void Uploads::sweep(Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    std::erase_if(uploads_, [&](const auto& entry) {
        const Upload& upload = entry.second;
        if (upload.closed || now - upload.touched <= limits::upload_idle_max) return false;
        std::error_code ec;
        std::filesystem::remove_all(upload.base, ec);
        return true;
    });
}

}  // namespace flow29::api
