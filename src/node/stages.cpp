// SPDX-License-Identifier: GPL-3.0-or-later
#include <flow29/node.hpp>

namespace flow29 {

std::string_view stage_text(Stage stage) noexcept {
    switch (stage) {
        case Stage::joining:
            return "joining the swarm";
        case Stage::hashing:
            return "hashing";
        case Stage::looking_up:
            return "looking up";
        case Stage::connecting:
            return "connecting";
        case Stage::tree:
            return "tree";
        case Stage::data:
            return "data";
        case Stage::copies:
            return "copies";
        case Stage::checking:
            return "checking holders";
    }
    return "working";
}

std::string_view stage_name(Stage stage) noexcept {
    switch (stage) {
        case Stage::joining:
            return "joining";
        case Stage::hashing:
            return "hashing";
        case Stage::looking_up:
            return "looking_up";
        case Stage::connecting:
            return "connecting";
        case Stage::tree:
            return "tree";
        case Stage::data:
            return "data";
        case Stage::copies:
            return "copies";
        case Stage::checking:
            return "checking";
    }
    return "working";
}

}  // namespace flow29
