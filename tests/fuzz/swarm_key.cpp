// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/swarm_key.hpp"

#include <sys/stat.h>

#include "core/small_file.hpp"
#include "input.hpp"
#include "place.hpp"

namespace {

using namespace flow29;

/// What is accepted is the key's text or hexadecimal digits of the same octets.
void check_parse(std::string_view text) {
    const auto key = core::parse_swarm_key(text);
    if (!key) {
        FLOW29_ASSERT(key.error().code == Errc::usage);
        // It is a secret: no part of it that could be one is repeated.
        constexpr std::size_t secret_chars = 16;
        const auto message = key.error().message();
        for (std::size_t at = 0; at + secret_chars <= text.size(); ++at) {
            const auto part = text.substr(at, secret_chars);
            if (part.find(' ') == std::string_view::npos)
                FLOW29_ASSERT(message.find(part) == std::string::npos);
        }
        return;
    }
    const auto written = core::swarm_key_text(*key);
    const auto again = core::parse_swarm_key(written);
    FLOW29_ASSERT(again && *again == *key);
    constexpr std::string_view blank = " \t\r\n";
    const auto first = text.find_first_not_of(blank);
    auto bare = std::string(text.substr(first, text.find_last_not_of(blank) + 1 - first));
    for (char& c : bare)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    FLOW29_ASSERT(bare + "\n" == written || bare == to_hex(*key));
}

/// A file that somebody has made: with any content, and any mode that this process can read.
void check_load(const fuzz::fs::path& path, std::string_view content, unsigned mode) {
    fuzz::write_file(
        path, ByteView(reinterpret_cast<const std::uint8_t*>(content.data()), content.size()));
    FLOW29_ASSERT(::chmod(path.c_str(), mode) == 0);
    const auto file = core::read_small_file(path);
    FLOW29_ASSERT(file.has_value() == (content.size() <= core::small_file_bytes_max));
    if (file) FLOW29_ASSERT(*file && (*file)->text == content && (*file)->mode == mode);
    const auto key = core::load_swarm_key(path);
    const auto in_it = core::parse_swarm_key(content);
    const bool is_secret = (mode & 0027) == 0;
    if (key)
        FLOW29_ASSERT(*key && in_it && **key == *in_it && is_secret && file);
    else
        FLOW29_ASSERT(!in_it || !is_secret || !file);
    if (!key && file) FLOW29_ASSERT((key.error().code == Errc::refused) == !is_secret);
}

}  // namespace

/// Keys as text and in files.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::Place place;
    const auto path = place.path() / "swarm.key";
    fuzz::Input input(data, size);
    const auto shape = input.octet();
    const unsigned mode = 0400U | static_cast<unsigned>(input.number(0777));
    const auto key = input.id<core::SwarmKey>();
    const auto text = fuzz::text_of(data, size);
    check_parse(text);
    check_parse(core::swarm_key_text(key) + (shape % 2 != 0 ? " \r\n" : ""));
    check_parse("\t" + to_hex(key));

    // What is read past is no part of the bound: a file of any length, from little input.
    std::string content(text);
    if (shape % 8 == 1) content = core::swarm_key_text(key);
    if (shape % 8 == 2) content.append(static_cast<std::size_t>(input.number(0x5000)), ' ');
    check_load(path, content, mode);

    // Written over whatever was there, it is the owner's alone and what was told.
    FLOW29_ASSERT(core::save_swarm_key(path, key).has_value());
    const auto loaded = core::load_swarm_key(path);
    FLOW29_ASSERT(loaded && *loaded && **loaded == key);
    FLOW29_ASSERT(core::write_small_file(path, text).has_value());
    const auto file = core::read_small_file(path);
    if (text.size() <= core::small_file_bytes_max)
        FLOW29_ASSERT(file && *file && (*file)->mode == 0600 && (*file)->text == text);
    FLOW29_ASSERT(!fuzz::fs::exists(path.string() + ".new"));
    fuzz::fs::remove(path);
    const auto gone = core::load_swarm_key(path);
    FLOW29_ASSERT(gone && !*gone);
    return 0;
}
