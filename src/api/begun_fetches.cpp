// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/begun_fetches.hpp"

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <utility>

#include <flow29/link.hpp>

#include "core/base32.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"
#include "core/small_file.hpp"

namespace flow29::api {

namespace fs = std::filesystem;

fs::path BegunFetches::file_of(std::string_view link) const {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(link.data()), link.size());
    return directory_ / core::base32_of(core::sha256({octets}));
}

void BegunFetches::add(std::string_view link) const {
    auto noted = core::make_private_directory(directory_);
    if (noted) noted = core::write_small_file(file_of(link), link);
    if (!noted)
        core::log::warn("page", "a fetch would not go on after a restart: {}",
                        noted.error().message());
}

void BegunFetches::remove(std::string_view link) const {
    std::error_code error;
    fs::remove(file_of(link), error);
    if (error) core::log::warn("page", "{}: {}", file_of(link).string(), error.message());
}

std::vector<std::string> BegunFetches::links() const {
    std::vector<std::pair<fs::file_time_type, std::string>> found;
    std::error_code error;
    for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
        const auto file = core::read_small_file(entry->path());
        if (!file || !*file || !Link::parse((*file)->text)) continue;
        std::error_code unknown;
        found.emplace_back(entry->last_write_time(unknown), std::move((*file)->text));
    }
    std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
    std::vector<std::string> links;
    for (auto& [time, link] : found)
        links.push_back(std::move(link));
    return links;
}

}  // namespace flow29::api
