// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/fetch_notes.hpp"

#include <algorithm>
#include <cstdint>
#include <system_error>

#include <flow29/link.hpp>

#include "core/base32.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"
#include "core/small_file.hpp"

namespace flow29::api {

namespace fs = std::filesystem;

fs::path FetchNotes::file_of(std::string_view link) const {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(link.data()), link.size());
    return directory_ / core::base32_of(core::sha256({octets}));
}

void FetchNotes::put(const Note& note) const {
    auto noted = core::make_private_directory(directory_);
    if (noted)
        noted = core::write_small_file(file_of(note.link), note.link + "\n" + note.state + "\n");
    if (!noted)
        core::log::warn("page", "of a fetch nothing will be known after a restart: {}",
                        noted.error().message());
}

void FetchNotes::remove(std::string_view link) const {
    std::error_code error;
    fs::remove(file_of(link), error);
    if (error) core::log::warn("page", "{}: {}", file_of(link).string(), error.message());
}

std::vector<FetchNotes::Note> FetchNotes::all() const {
    std::vector<std::pair<fs::file_time_type, Note>> found;
    std::error_code error;
    for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
        const auto file = core::read_small_file(entry->path());
        if (!file || !*file) continue;
        const std::string& text = (*file)->text;
        const auto split = text.find('\n');
        const auto last = text.find('\n', split + 1);
        if (split == std::string::npos || last + 1 != text.size()) continue;
        Note note{text.substr(0, split), text.substr(split + 1, last - split - 1)};
        if (!Link::parse(note.link)) continue;
        std::error_code unknown;
        found.emplace_back(entry->last_write_time(unknown), std::move(note));
    }
    std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
    std::vector<Note> notes;
    for (auto& [time, note] : found)
        notes.push_back(std::move(note));
    return notes;
}

}  // namespace flow29::api
