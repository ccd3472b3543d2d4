// SPDX-License-Identifier: GPL-3.0-or-later
#include "api/fetch_notes.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include <flow29/link.hpp>

#include "core/base32.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/private_directory.hpp"
#include "core/small_file.hpp"

namespace flow29::api {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view paused_line = "paused";  // in place of an outcome

std::string text_of(const FetchNotes::Note& note) {
    return fmt::format("{}\n{}\n", note.link, note.paused ? paused_line : note.outcome);
}

/// Nothing when it is none.
std::optional<FetchNotes::Note> note_in(const std::string& text) {
    const auto split = text.find('\n');
    const auto last = text.find('\n', split + 1);
    if (split == std::string::npos || last + 1 != text.size()) return std::nullopt;
    FetchNotes::Note note{text.substr(0, split), text.substr(split + 1, last - split - 1), false};
    if (!Link::parse(note.link)) return std::nullopt;
    note.paused = note.outcome == paused_line;
    if (note.paused) note.outcome.clear();
    return note;
}
}  // namespace

fs::path FetchNotes::file_of(std::string_view link) const {
    const ByteView octets(reinterpret_cast<const std::uint8_t*>(link.data()), link.size());
    return directory_ / core::base32_of(core::sha256({octets}));
}

void FetchNotes::put(const Note& note) const {
    auto noted = core::make_private_directory(directory_);
    if (noted) noted = core::write_small_file(file_of(note.link), text_of(note));
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
        auto note = note_in((*file)->text);
        if (!note) continue;
        std::error_code unknown;
        found.emplace_back(entry->last_write_time(unknown), std::move(*note));
    }
    std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
    std::vector<Note> notes;
    for (auto& [time, note] : found)
        notes.push_back(std::move(note));
    return notes;
}

}  // namespace flow29::api
