// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/qr.hpp"

#include <qrcodegen.hpp>

namespace flow29::cli {
namespace {

constexpr int margin = 4;  // modules; ISO/IEC 18004

/// The alphanumeric mode, which makes it small, has no lower case.
std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

}  // namespace

std::string qr_code(const Link& link, bool coloured) {
    using qrcodegen::QrCode;
    Link bare;
    bare.root = link.root;
    bare.key = link.key;
    const std::string text = link.key.empty() ? upper(bare.to_string()) : bare.to_string();
    const QrCode code = QrCode::encodeText(text.c_str(), QrCode::Ecc::LOW);
    const int end = code.getSize() + margin;
    // Outside the code everything is light; below the last line there is nothing to draw.
    const auto is_light = [&](int x, int y) { return y < end && !code.getModule(x, y); };
    std::string out;
    for (int y = -margin; y < end; y += 2) {
        if (coloured) out += "\x1b[38;5;231;48;5;16m";
        for (int x = -margin; x < end; ++x) {
            const bool above = is_light(x, y);
            const bool below = is_light(x, y + 1);
            out += above && below ? "█" : above ? "▀" : below ? "▄" : " ";
        }
        if (coloured) out += "\x1b[0m";
        out += '\n';
    }
    return out;
}

}  // namespace flow29::cli
