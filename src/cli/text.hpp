// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <flow29/link.hpp>

namespace flow29::cli {

/// The candidate that `word` was probably meant to be: at most a third of its letters away,
/// counting insertions, deletions, replacements and swaps of neighbours.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 const std::vector<std::string>& candidates);

/// `text` as one word of a POSIX shell; unquoted when nothing in it needs quotes.
[[nodiscard]] std::string shell_quote(std::string_view text);

/// core::printable of what is said in several lines. Those after the first are set in, so that none
/// can pass for something else that was said.
[[nodiscard]] std::string printable_lines(std::string_view text);

/// A name for a fetched file in the working directory: the last part of the link's path or its
/// name, made harmless, or the first twelve characters of its root.
[[nodiscard]] std::string file_name_for(const Link& link);

/// How many terminal cells `text` takes, colour sequences not counted; a code point is one cell.
[[nodiscard]] std::size_t cells(std::string_view text);
/// Cut to at most `width` cells, never inside a character.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t width);

/// Rows of cells as lines, columns padded to the widest; the first row is the heading.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

/// Lines of more than `width` cells go on below, from a space on, or from the next column
/// of a table, and indented: to where the value of a field begins ("name       value"), or by four.
/// A word that is too long stays whole.
[[nodiscard]] std::string folded(std::string_view text, std::size_t width);

/// What of these lines a screen shows that must not scroll: each cut to `width` cells, and no more
/// than `height` with the line on which the cursor is left; the last one says how many are missing.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t width, std::size_t height);

}  // namespace flow29::cli
